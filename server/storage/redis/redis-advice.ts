import type { Log } from '../../logging/log.js';
import { infoFields } from './redis-info.js';
import { lackingRights } from './redis-rights.js';
import type { RedisNode, RedisStore } from './redis-store.js';

/** What is told of a Redis, and what mends it. */
export interface Advice {
  readonly kind: 'version' | 'persistence' | 'replication' | 'buffers';
  readonly problem: string;
  readonly remedy: string;
}

/** The settings that are looked at. Redis gives those that it knows in one answer from 7.0 on only, so each is asked for. */
const asked = ['save', 'appendonly', 'min-replicas-to-write', 'client-output-buffer-limit'] as const;

/** The oldest version whose commands are enough. */
const oldest = [6, 2] as const;
/** The defaults of Redis: a subscriber with more unread bytes is closed, with more of the second for this long, too. */
const usualPubSub = { hardBytes: 33_554_432, softBytes: 8_388_608, softSecs: 60 } as const;

const aclRemedy = 'give the user the rights that rtc redis acl prints';
/** Of a Redis that does not show its settings to the user of the service. */
const unseen = {
  problem: `The user of Redis may not read its settings: ${asked.join(', ')} are not checked`,
  remedy: aclRemedy,
};

/** Warns of a Redis under which promises of the service do not hold: once each for every Redis that becomes the one in use. */
export class RedisAdvice {
  /** Problems that were logged, with the process that had them. */
  private readonly given = new Set<string>();

  constructor(
    private readonly dependencies: { readonly link: RedisStore; readonly log: Log },
    private readonly settings: { readonly keyPrefix: string },
  ) {
    dependencies.link.onState((state) => {
      if (state === 'up') for (const node of dependencies.link.nodes()) void this.look(node);
    });
  }

  /** Never rejects. What a Redis does not show is not judged. */
  private async look(node: RedisNode): Promise<void> {
    const { log, link } = this.dependencies;
    if (node.state === 'down') return;
    const runId = node.redis?.runId ?? '';
    const settings = new Map<string, string>();
    try {
      const info = await node.call<string>(['INFO']);
      let isForbidden = false;
      for (const name of asked) {
        const [, value] = await node.call<string[]>(['CONFIG', 'GET', name]).catch((error: Error) => {
          isForbidden ||= error.message.startsWith('NOPERM');
          return [];
        });
        if (value !== undefined) settings.set(name, value);
      }
      const { isCluster } = link;
      const { keyPrefix } = this.settings;
      const lacking = await lackingRights((args) => node.tryOut(args), { keyPrefix, isCluster });
      const ofRights = [...(isForbidden ? [unseen] : []), ...(lacking.length > 0 ? [without(lacking)] : [])];
      for (const { problem, remedy } of [...adviceFor(info, settings), ...ofRights]) {
        if (this.given.has(`${runId} ${problem}`)) continue;
        this.given.add(`${runId} ${problem}`);
        log.warn(problem, { remedy });
      }
    } catch {
      // The link reports what is wrong with it.
    }
  }
}

/** Some refusals show nowhere else: without the right to publish, messages are stored, and reach subscribers seconds later. */
function without(lacking: readonly string[]): Pick<Advice, 'problem' | 'remedy'> {
  return {
    problem: `The user of Redis lacks rights that the service needs: ${lacking.join(', ')}`,
    remedy: aclRemedy,
  };
}

/** `settings`: those that Redis shows, by name. */
export function adviceFor(info: string, settings: ReadonlyMap<string, string>): Advice[] {
  const field = infoFields(info);
  const advice: Advice[] = [];
  const version = field('redis_version') ?? '';
  const [major, minor = 0] = version.split('.').map(Number);
  if (major !== undefined && major > 0 && (major < oldest[0] || (major === oldest[0] && minor < oldest[1])))
    advice.push({
      kind: 'version',
      problem: `Redis ${version} is too old: it lacks commands that the service sends`,
      remedy: `run Redis ${oldest.join('.')} or later`,
    });
  if (settings.get('save') === '' && settings.get('appendonly') === 'no')
    advice.push({
      kind: 'persistence',
      problem: 'Redis keeps nothing on disk: when it restarts, messages, sessions and revocations are lost',
      remedy: 'set appendonly yes in the configuration of Redis',
    });
  if (Number(field('connected_slaves') ?? 0) > 0 && settings.get('min-replicas-to-write') === '0')
    advice.push({
      kind: 'replication',
      problem:
        'Redis has replicas, but writes without them: a primary that is cut off goes on acknowledging messages that a failover loses',
      remedy:
        'set min-replicas-to-write 1 and min-replicas-max-lag 10 in the configuration of Redis and of its replicas',
    });
  const pubSub = /\bpubsub (\d+) (\d+) (\d+)/.exec(settings.get('client-output-buffer-limit') ?? '');
  if (pubSub !== null && isBelowUsual(pubSub.slice(1).map(Number)))
    advice.push({
      kind: 'buffers',
      problem:
        'Redis closes subscriptions with few unread bytes: at bursts, replicas of the service lose their connection',
      remedy: 'set client-output-buffer-limit pubsub 32mb 8mb 60, or more, in the configuration of Redis',
    });
  return advice;
}

/** 0 is no limit. */
function isBelowUsual([hardBytes = 0, softBytes = 0, softSecs = 0]: readonly number[]): boolean {
  if (hardBytes > 0 && hardBytes < usualPubSub.hardBytes) return true;
  return (
    softBytes > 0 && softSecs > 0 && (softBytes < usualPubSub.softBytes || softSecs < usualPubSub.softSecs)
  );
}
