import type { z } from 'zod';
import type { RedisTls } from '../../../storage/redis/redis-tls.js';
import type { Target } from '../../target/target.js';
import type {
  AdminObservation,
  Observations,
  RedisObservation,
  ReplicaObservation,
  SettingsObservation,
  TokenObservation,
} from '../observations.js';
import { isForeign } from '../foreign-answer.js';
import { healthIn, schemas } from './answer-schemas.js';
import { askOnce, askUpgrade, lookAtAddress, refusalOf, type HttpAnswer } from './http-look.js';
import { lookAtPolling } from './polling-look.js';
import { probeReplicas, watchIdle } from './probe.js';

/** What is looked at. */
export interface Subject {
  readonly user: Target;
  readonly operator: Target;
  /** Addresses of single replicas. */
  readonly replicas: readonly string[];
  readonly timeoutMs: number;
  readonly idleMs: number | undefined;
  /** Address of Redis. */
  readonly redis: string | undefined;
  /** For an address of Redis with TLS. */
  readonly redisTls: RedisTls;
  readonly onStep: (step: string) => void;
}

/** A service that answers later than this is asked for no more than it must be. */
const slowMs = 500;

/** Looks at everything that can be looked at. Rejects never for what is wrong with the service. */
export async function gather(subject: Subject): Promise<Observations> {
  const { user, operator, timeoutMs, onStep } = subject;
  const { url } = user;
  onStep('address');
  const { reach, health } = await lookAtAddress(new URL(url), timeoutMs);
  const seenHealth = reach.problem === null ? healthIn(health?.body) : null;
  const nothing = {
    format: 1 as const,
    at: Date.now(),
    url,
    reach,
    health: seenHealth,
    metrics: null,
    token: unseen(user),
    operator: unseen(operator),
    admin: null,
    upgrade: null,
    polling: null,
    probe: null,
    idle: null,
    replicas: [],
    redis: null,
  };
  const redis = lookAtRedisOf(subject);
  if (seenHealth === null) return { ...nothing, redis: await redis };
  onStep('tokens');
  const [token, admin, metrics] = await Promise.all([
    lookAtToken(user, '/api/openapi.json', timeoutMs),
    lookAtToken(operator, '/admin/emergency-mode', timeoutMs),
    readJson(schemas.metrics, `${url}/metrics`, operator.token, timeoutMs),
  ]);
  onStep('replicas');
  const isOperator = admin.refusal === null && admin.source !== null;
  const good =
    token.refusal === null || isForeign(token.refusal) || token.refusal.code === 'rate_limited'
      ? (user.token ?? operator.token)
      : isOperator
        ? operator.token
        : undefined;
  const authorization = { authorization: `Bearer ${good ?? user.token ?? 'none'}` };
  const [state, replicas, upgrade] = await Promise.all([
    isOperator ? lookAtAdmin(operator, timeoutMs) : null,
    Promise.all(subject.replicas.map((one) => lookAtReplica(one, operator, isOperator, timeoutMs))),
    askUpgrade(new URL(`${url}/ws`), authorization, timeoutMs),
  ]);
  const isOpen = upgrade.status === 101 && good !== undefined;
  onStep('messages');
  // That a replica is down is found anyway: messages go between the others.
  const living = replicas.filter(({ problem }) => problem === null).map((one) => one.url);
  const urls = living.length === 0 ? [url] : living;
  const isSlow = (reach.answer_ms ?? 0) > slowMs;
  const polling = isOpen && !isSlow ? await lookAtPolling(url, good, timeoutMs) : null;
  const probe = isOpen ? await probeReplicas(urls, { token: good, timeoutMs }) : null;
  // A replica without traffic learns by the first publish that Redis refuses it.
  const isRefused = probe?.failures.some(({ code }) => code === 'unavailable') ?? false;
  const after = isRefused ? healthIn((await answerOf(`${url}/health`, undefined, timeoutMs))?.body) : null;
  if (subject.idleMs !== undefined) onStep(`an idle connection, for ${subject.idleMs / 1000} s`);
  const idle =
    isOpen && subject.idleMs !== undefined
      ? await watchIdle(url, subject.idleMs, { token: good, timeoutMs })
      : null;
  return {
    ...nothing,
    health: after ?? seenHealth,
    metrics,
    token,
    operator: admin,
    admin: state,
    upgrade,
    polling,
    probe,
    idle: idle ?? null,
    replicas,
    redis: await redis,
  };
}

/** The driver of Redis is loaded only where it is needed. */
async function lookAtRedisOf({
  redis,
  redisTls: tls,
  operator,
  timeoutMs,
}: Subject): Promise<RedisObservation | null> {
  if (redis === undefined) return null;
  const config = await readJson(schemas.config, `${operator.url}/admin/config`, operator.token, timeoutMs);
  const setting = (section: string, key: string) =>
    (config?.[section] as Readonly<Record<string, unknown>> | null | undefined)?.[key];
  const prefix = setting('redis', 'keyPrefix');
  const hasUi = !['off', undefined].includes(setting('admin', 'socketIoUi') as string | undefined);
  const { lookAtRedis } = await import('./redis-look.js');
  return lookAtRedis(redis, {
    timeoutMs,
    tls,
    keyPrefix: typeof prefix === 'string' ? prefix : 'rtc',
    namespaces: hasUi ? ['/', '/admin'] : ['/'],
  });
}

function unseen({ token, tokenSource }: Target): TokenObservation {
  const claims = claimsOf(token);
  return { source: token === undefined ? null : tokenSource, ...claims, refusal: null };
}

function claimsOf(token: string | undefined): Pick<TokenObservation, 'issued_at' | 'expires_at'> {
  try {
    const text = Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString();
    const { iat, exp } = JSON.parse(text) as { readonly iat?: unknown; readonly exp?: unknown };
    return {
      issued_at: typeof iat === 'number' ? iat : null,
      expires_at: typeof exp === 'number' ? exp : null,
    };
  } catch {
    return { issued_at: null, expires_at: null };
  }
}

async function lookAtToken(target: Target, path: string, timeoutMs: number): Promise<TokenObservation> {
  const seen = unseen(target);
  if (target.token === undefined) return seen;
  const answer = await answerOf(target.url + path, target.token, timeoutMs);
  if (answer === undefined)
    return { ...seen, refusal: { status: 0, code: 'no_answer', message: 'no answer' } };
  const { status, body, text } = answer;
  return status < 300 ? seen : { ...seen, refusal: refusalOf(status, body, text) };
}

async function lookAtAdmin(operator: Target, timeoutMs: number): Promise<AdminObservation> {
  const read = <Body>(schema: z.ZodType<Body>, path: string) =>
    readJson(schema, `${operator.url}/admin${path}`, operator.token, timeoutMs);
  const [cluster, settings, actors, longest, alerts, control] = await Promise.all([
    read(schemas.cluster, '/cluster'),
    read(schemas.config, '/config'),
    read(schemas.actors, '/actors?state=stopped&limit=20'),
    // Those with the longest mailboxes come first.
    read(schemas.actors, '/actors?state=running&limit=1'),
    read(schemas.alerts, '/alerts?limit=20'),
    read(schemas.control, '/emergency-mode'),
  ]);
  return {
    silent_replicas: cluster?.silent_replicas ?? null,
    replicas: cluster?.replicas ?? null,
    settings: settings === null ? null : settingsOf(settings),
    stopped_actors: actors?.actors ?? null,
    alerts: alerts?.alerts ?? null,
    rates_switched_by: (control?.switched['connection_rps'] ?? control?.switched['user_rps'])?.by ?? null,
    frozen: control?.frozen_topics ?? null,
    longest_mailbox: longest?.actors[0] ?? null,
  };
}

function settingsOf(settings: Readonly<Record<string, unknown>>): SettingsObservation {
  const number = (section: string, key: string, otherwise: number) => {
    const value = (settings[section] as Readonly<Record<string, unknown>> | null | undefined)?.[key];
    return typeof value === 'number' ? value : otherwise;
  };
  return {
    max_connections: number('websocket', 'maxConnections', 0),
    max_message_bytes: number('websocket', 'maxMessageBytes', Infinity),
    heartbeat_interval_secs: number('websocket', 'heartbeatIntervalSecs', 30),
    leeway_secs: number('auth', 'leewaySecs', 60),
    mailbox_capacity: number('actorSystem', 'mailboxCapacity', Infinity),
  };
}

/** Settings that each replica has for itself. */
const ownSettings = new Set(['server.replicaId', 'server.port', 'server.host']);

async function lookAtReplica(
  url: string,
  operator: Target,
  isOperator: boolean,
  timeoutMs: number,
): Promise<ReplicaObservation> {
  const health = healthIn((await answerOf(`${url}/health`, undefined, timeoutMs))?.body);
  if (health === null) return { url, problem: 'no answer', version: null, differences: [] };
  const [here, there] = isOperator
    ? await Promise.all(
        [operator.url, url].map((one) =>
          readJson(schemas.config, `${one}/admin/config`, operator.token, timeoutMs),
        ),
      )
    : [null, null];
  const differences = here && there ? differencesOf(here, there) : [];
  return { url, problem: null, version: health.version, differences };
}

function differencesOf(here: object, there: object): string[] {
  const flat = (tables: object) =>
    new Map(
      Object.entries(tables).flatMap(([section, table]: [string, unknown]) =>
        typeof table === 'object' && table !== null && !Array.isArray(table)
          ? Object.entries(table).map(([key, value]) => [`${section}.${key}`, JSON.stringify(value)] as const)
          : [[section, JSON.stringify(table)] as const],
      ),
    );
  const [a, b] = [flat(here), flat(there)];
  return [...new Set([...a.keys(), ...b.keys()])].filter(
    (name) => !ownSettings.has(name) && a.get(name) !== b.get(name),
  );
}

async function readJson<Body>(
  schema: z.ZodType<Body>,
  url: string,
  token: string | undefined,
  timeoutMs: number,
): Promise<Body | null> {
  const answer = await answerOf(url, token, timeoutMs);
  return answer?.status === 200 ? (schema.safeParse(answer.body).data ?? null) : null;
}

function answerOf(
  url: string,
  token: string | undefined,
  timeoutMs: number,
): Promise<HttpAnswer | undefined> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return askOnce(new URL(url), { headers, timeoutMs }).catch(() => undefined);
}
