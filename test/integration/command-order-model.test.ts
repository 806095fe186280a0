import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Position } from '../../shared/position.js';
import type { TestAnswer } from '../support/clients.js';
import { connectClient, emit } from '../support/clients.js';
import {
  ConnectionModel,
  orderRules,
  type ModelCommand,
  type OrderRole,
} from '../support/connection-model.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { seededRandom } from '../../bench/seeded-random.js';
import { connectUnawaited, type SentCommand, type UnawaitedClient } from '../support/unawaited-client.js';
import { until } from '../support/wait.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** `SCHEDULES=5000` for a long run. */
const schedules = Number(process.env['SCHEDULES'] ?? 120);
/** Schedules that run at the same time, each on a connection of its own. */
const atOnce = 12;

const wires = ['Socket.IO', '/ws'] as const;
const names = ['a', 'b', 'c'] as const;
const topic = fc.constantFrom(...names);
const topics = fc.uniqueArray(topic, { minLength: 1, maxLength: 3 });
const roles = fc.subarray<OrderRole>(['reader', 'writer']);
const command: fc.Arbitrary<ModelCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('subscribe' as const), topics, fromStart: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), topics }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('publish' as const), topic }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('history' as const), topic }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('missed' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), roles }) },
);
/** Milliseconds before a command is sent; mostly it follows in the same turn. */
const delayMs = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(8) });
const schedule = fc.record({
  wire: fc.constantFrom(...wires),
  /** Topics that are active already, because somebody else is subscribed. */
  active: fc.subarray([...names]),
  roles: fc.oneof(
    { weight: 4, arbitrary: fc.constant<OrderRole[]>(['reader', 'writer']) },
    { weight: 1, arbitrary: roles },
  ),
  commands: fc.array(fc.tuple(delayMs, command), { minLength: 2, maxLength: 14, size: 'max' }),
});
type Schedule = typeof schedule extends fc.Arbitrary<infer One> ? One : never;

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[P1] unawaited commands of one connection, ${storage} (seed ${seed})`, function () {
    this.timeout(60_000 + schedules * 500);
    const random = seededRandom(seed);
    let redis: TestRedis | undefined;
    let service: EmbeddedService;
    let other: Awaited<ReturnType<typeof connectClient>>;
    let stalls: Promise<void> | undefined;
    let isOver = false;
    let runs = 0;

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
      service = await startEmbedded(
        {
          RTC_PERMISSIONS: JSON.stringify([
            ...orderRules,
            { role: 'all', topics: ['*'], allow: ['subscribe', 'publish'] },
          ]),
          // So high that it refuses nothing: the first command of a user waits for the answer of Redis.
          RTC_LIMITS_USER_RPS: '100000',
          // A machine under load must not make a short stall a long one.
          RTC_REDIS_COMMAND_TIMEOUT_MS: '30000',
          RTC_REDIS_STALL_LIMIT_MS: '60000',
          RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '60000',
          ...(redis && { REDIS_URL: redis.url }),
        },
        {
          hooks: {
            onSubscribe: ({ topic: name }) => (name.startsWith('b') ? sleep(random(6)) : undefined),
            onPublish: async ({ topic: name }) => {
              if (name.startsWith('c')) await sleep(random(4));
            },
          },
        },
      );
      other = await connectClient(service.url, 'other', {
        auth: { token: tokenOf('other', { roles: ['all'] }) },
      });
      if (redis !== undefined) stalls = stall(redis);
    });

    after(async () => {
      isOver = true;
      await stalls;
      other?.disconnect();
      await service?.service.close();
      await redis?.stop();
    });

    it('have the answers, the messages and the subscriptions of commands that ran one after the other', async () => {
      const all = fc.array(schedule, { minLength: atOnce, maxLength: atOnce });
      const property = fc.asyncProperty(all, async (some) => {
        await Promise.all(some.map((one) => run(one, runs++)));
      });
      await fc.assert(property, { seed, numRuns: Math.ceil(schedules / atOnce), endOnFailure: true });
    });

    /** Redis stands still again and again, for a short while. */
    async function stall(server: TestRedis): Promise<void> {
      while (!isOver) {
        await server.signal('SIGSTOP');
        await sleep(random(40));
        await server.signal('SIGCONT');
        await sleep(random(60));
      }
    }

    async function run(planned: Schedule, number: number): Promise<void> {
      const nameOf = (name: string) => `${name}.${number}`;
      const start = new Map<string, Position>();
      for (const name of names) {
        const { epoch } = await emit(other, 'publish', { topic: nameOf(name), payload: 0 });
        start.set(nameOf(name), { epoch: epoch!, sequence: 0 });
      }
      await emit(other, 'subscribe', { topics: [nameOf('x'), ...planned.active.map(nameOf)] });
      const { id: since } = await emit(other, 'publish', { topic: nameOf('x'), payload: 0 });
      const commands = planned.commands.map(([, one]) => named(one, nameOf));
      const model = new ConnectionModel(planned.roles, commands);
      const user = `user-${storage}-${number}`;
      const client = await connectUnawaited(planned.wire, service, user, planned.roles);
      let given: readonly TestAnswer[] = [];
      try {
        const answers: Promise<TestAnswer>[] = [];
        for (const [n, [ms]] of planned.commands.entries()) {
          if (ms > 0) await sleep(ms);
          answers.push(client.send(sentOf(commands[n]!, { start, since: since!, user })));
        }
        given = await Promise.all(answers);
        for (const [n, answer] of given.entries()) model.take(n, answer);
        await compare(model, client, names.map(nameOf));
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${protocolOf(planned, given, client)}`);
      } finally {
        client.close();
        await emit(other, 'unsubscribe', { topics: names.map(nameOf) });
      }
    }

    async function compare(
      model: ConnectionModel,
      client: UnawaitedClient,
      all: readonly string[],
    ): Promise<void> {
      const sequencesOf = (name: string) =>
        client.messages.filter((message) => message.topic === name).map(({ sequence }) => sequence);
      const rooms = service.service.io.of('/').adapter.sids.get(client.connectionId) ?? [];
      const joined = [...rooms].filter((room) => room.startsWith('topic:')).map((room) => room.slice(6));
      assert.deepEqual(joined.sort(), model.topics, 'subscribed');
      const hasAll = () => all.every((name) => model.hasAll(name, sequencesOf(name)));
      await until(hasAll, 'the newest messages arrive', 5000).catch(() => {});
      for (const name of all) model.checkMessages(name, sequencesOf(name));
    }
  });
}

function named(one: ModelCommand, nameOf: (name: string) => string): ModelCommand {
  if ('topics' in one) return { ...one, topics: one.topics.map(nameOf) };
  return 'topic' in one ? { ...one, topic: nameOf(one.topic) } : one;
}

/** What happened, for whoever looks for the reason of a failure. */
function protocolOf(
  planned: Schedule,
  answers: readonly TestAnswer[],
  { messages }: UnawaitedClient,
): string {
  const lines = planned.commands.map(
    ([ms, one], n) =>
      `${n}: after ${ms} ms ${JSON.stringify(one)} → ${JSON.stringify(answers[n])?.slice(0, 300)}`,
  );
  const got = messages.map(({ topic: name, sequence }) => `${name}:${sequence}`).join(' ');
  return [`${planned.wire}, ${planned.roles.join()}, active ${planned.active.join()}`, ...lines, got].join(
    '\n',
  );
}

function sentOf(
  one: ModelCommand,
  known: { readonly start: ReadonlyMap<string, Position>; readonly since: string; readonly user: string },
): SentCommand {
  const { kind } = one;
  switch (kind) {
    case 'subscribe': {
      const { topics: some, fromStart } = one;
      const since = fromStart && Object.fromEntries(some.map((name) => [name, known.start.get(name)]));
      return { command: kind, request: { topics: some, ...(since && { since }) } };
    }
    case 'unsubscribe':
      return { command: kind, request: { topics: one.topics } };
    case 'publish':
      return { command: kind, request: { topic: one.topic, payload: 1 } };
    case 'history':
      return { command: kind, request: { topic: one.topic } };
    case 'missed':
      return { command: kind, request: { since: known.since } };
    case 'refresh':
      return { command: kind, request: { token: tokenOf(known.user, { roles: one.roles }) } };
  }
}
