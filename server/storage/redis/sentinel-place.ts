import type { RedisAddress } from '../../config/redis-address.js';
import type { RedisHost } from '../../config/redis-url.js';
import type { Log } from '../../logging/log.js';
import type { RedisPlace } from './redis-place.js';
import type { RedisTls } from './redis-tls.js';
import { SentinelConnection, type SentinelAnswer } from './sentinel-connection.js';

/** The Sentinels do not say where the primary is. */
export class SentinelError extends Error {
  override readonly name = 'SentinelError';
}

interface SentinelPlaceSettings {
  readonly sentinel: NonNullable<RedisAddress['sentinel']>;
  readonly tls?: RedisTls | undefined;
}

/** How often the Sentinels are asked, in milliseconds: a failover takes seconds. */
const askEveryMs = 500;
const answerLimitMs = 1000;

/**
 * Asks all Sentinels where the primary is, again and again. The answer with the greatest configuration epoch counts: a
 * Sentinel that was away names the former primary until the others have told it. An older configuration, or another one
 * of the same epoch, counts only if most of the Sentinels answer: somebody has set them up anew.
 */
export class SentinelPlace implements RedisPlace {
  host: RedisHost | undefined;
  private configEpoch = -1;
  private readonly sentinels: readonly SentinelConnection[];
  private timer: NodeJS.Timeout | undefined;
  private isStarted = false;
  private isClosed = false;
  /** What the log says of the Sentinels; undefined: all is well. */
  private logged: string | undefined;
  private readonly moved: (() => void)[] = [];
  private readonly unknown: ((error: Error) => void)[] = [];

  constructor(
    private readonly dependencies: { readonly log: Log },
    private readonly settings: SentinelPlaceSettings,
  ) {
    const { sentinel, tls } = settings;
    const { masterName } = sentinel;
    this.sentinels = sentinel.sentinels.map(
      (address) => new SentinelConnection({ address, masterName, tls, answerLimitMs }),
    );
  }

  onMoved(listener: () => void): void {
    this.moved.push(listener);
  }

  onUnknown(listener: (error: Error) => void): void {
    this.unknown.push(listener);
  }

  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    void this.askAll();
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    for (const sentinel of this.sentinels) sentinel.close();
  }

  /** Never rejects. */
  private async askAll(): Promise<void> {
    const results = await Promise.allSettled(this.sentinels.map((sentinel) => sentinel.ask()));
    if (this.isClosed) {
      // One may have connected meanwhile.
      for (const sentinel of this.sentinels) sentinel.close();
      return;
    }
    const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failures = results.flatMap((result, i) =>
      result.status === 'rejected' ? [`${this.sentinels[i]!.name}: ${reasonOf(result.reason)}`] : [],
    );
    this.observe(answers.length, failures);
    this.decide(answers);
    this.timer = setTimeout(() => void this.askAll(), askEveryMs);
    this.timer.unref();
  }

  private decide(answers: readonly SentinelAnswer[]): void {
    if (answers.length === 0) return;
    const newest = answers.reduce((best, answer) => (answer.configEpoch > best.configEpoch ? answer : best));
    const { host, port, configEpoch } = newest;
    if (this.host?.host === host && this.host.port === port) {
      this.configEpoch = Math.max(this.configEpoch, configEpoch);
      return;
    }
    const isMost = answers.length * 2 > this.sentinels.length;
    if (configEpoch <= this.configEpoch && !isMost) return;
    const from = this.host;
    this.host = { host, port };
    this.configEpoch = configEpoch;
    const at = { host, port, config_epoch: configEpoch };
    if (from === undefined) this.dependencies.log.info('Sentinel names the primary of Redis', at);
    else
      this.dependencies.log.warn('Sentinel names another primary of Redis', {
        ...at,
        from: `${from.host}:${from.port}`,
      });
    for (const listener of this.moved) listener();
  }

  /** Once for each state, not with each question. */
  private observe(answering: number, failures: readonly string[]): void {
    const { log } = this.dependencies;
    const { masterName } = this.settings.sentinel;
    if (answering === 0 && this.host === undefined) {
      const error = new SentinelError(failures.join('; '));
      // The owner of the connection logs it.
      for (const listener of this.unknown) listener(error);
      return;
    }
    const state = failures.join('; ');
    if (state === (this.logged ?? '')) return;
    this.logged = state;
    if (failures.length === 0) log.info('All Sentinels answer', { master_name: masterName });
    else
      log.warn(
        answering === 0 ? 'No Sentinel answers: a failover is not noticed' : 'Not all Sentinels answer',
        {
          master_name: masterName,
          failures,
          remedy: 'start them, or correct redis.sentinels and redis.sentinel_master_name',
        },
      );
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, errors } = error as Error & { readonly errors?: readonly Error[] };
  return message !== '' ? message : (errors?.[0]?.message ?? error.name);
}
