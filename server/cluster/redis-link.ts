import {
  ClientClosedError,
  ClientOfflineError,
  createClient,
  ErrorReply,
  RESP_TYPES,
  type RedisClientOptions,
} from 'redis';
import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../telemetry/log.js';

export interface RedisLinkSettings {
  readonly url: string;
  /** A command unanswered for this long means that Redis is stalled. */
  readonly commandTimeoutMs: number;
  /** A stall of this length ends the connection. */
  readonly stallLimitMs: number;
}

export type LinkState = 'up' | 'down';

/** What is known of the Redis process that answers. */
export interface RedisProcess {
  readonly runId: string;
  /** Every write is on disk before it is answered. */
  readonly fsyncAlways: boolean;
}

export interface LinkCounts {
  reconnects: number;
  errors: number;
  stalls: number;
}

export type RedisArgument = string | Buffer;

/** A command was sent, and the connection was lost before its answer came: it may or may not have been run. */
export class LostAnswerError extends Error {
  override readonly name = 'LostAnswerError';
}

const makeClient = (options: RedisClientOptions) =>
  createClient({ ...options, RESP: 2, commandOptions: { timeout: 0 } });
type Client = ReturnType<typeof makeClient>;

const bufferReplies = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const;
const watchMs = 250;
const pingMs = 1000;

/**
 * The connections to one Redis: one for commands, one for subscriptions. It reconnects for ever, tells when Redis is away or stalled,
 * and never queues a command that cannot be sent.
 */
export class RedisLink {
  readonly counts: LinkCounts = { reconnects: 0, errors: 0, stalls: 0 };
  private commands: Client;
  private subscriber: Client;
  private process: RedisProcess | undefined;
  private stalled = false;
  private closed = false;
  private outstanding = 0;
  private waitingSinceMs = 0;
  private lastSentMs = 0;
  private current: LinkState = 'down';
  private readonly listeners: ((state: LinkState) => void)[] = [];
  private readonly resubscribed: (() => void)[] = [];
  private readonly channels = new Map<string, (message: Buffer) => void>();
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly dependencies: { readonly log: Log },
    private readonly settings: RedisLinkSettings,
  ) {
    this.commands = this.newCommands();
    this.subscriber = this.newSubscriber();
    this.watch = setInterval(() => this.look(), watchMs);
    this.watch.unref();
  }

  get state(): LinkState {
    return this.current;
  }

  /** The process that answers; undefined before the first connection. */
  get redis(): RedisProcess | undefined {
    return this.process;
  }

  /** Called on every change of the state. */
  onState(listener: (state: LinkState) => void): void {
    this.listeners.push(listener);
  }

  /** Called when subscriptions are live again after they may have missed something. */
  onResubscribed(listener: () => void): void {
    this.resubscribed.push(listener);
  }

  /** Starts connecting. Resolves at once: a Redis that is away is met later. */
  start(): void {
    this.connect(this.commands);
    this.connect(this.subscriber);
  }

  /** Resolves when the state is `up`, or after `limitMs`. */
  async whenUp(limitMs: number): Promise<boolean> {
    const until = performance.now() + limitMs;
    while (this.current === 'down' && !this.closed && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.current === 'up';
  }

  /**
   * Sends a command now, or throws.
   *
   * @throws RefusalError `unavailable` if it was not sent; {@link LostAnswerError} if it was sent and no answer came.
   */
  async call<Reply>(args: RedisArgument[], form: 'strings' | 'buffers' = 'strings'): Promise<Reply> {
    if (this.current === 'down') throw this.unavailable();
    return this.send<Reply>(this.commands, args, form);
  }

  /** Subscribes one channel; resolved once it is live. Kept over reconnections. */
  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.channels.set(channel, listener);
    if (!this.subscriber.isReady) throw this.unavailable();
    try {
      await this.subscriber.subscribe(channel, this.hear, true);
    } catch (error) {
      throw this.unavailable(error);
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    this.channels.delete(channel);
    try {
      if (this.subscriber.isReady) await this.subscriber.unsubscribe(channel);
    } catch {
      // A channel that is lost with its connection is unsubscribed too.
    }
  }

  unavailable(cause?: unknown): RefusalError {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    return new RefusalError('unavailable', `Redis cannot be reached${reason}`, { retryAfterMs: 1000 });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.watch);
    for (const client of [this.commands, this.subscriber]) {
      try {
        if (client.isOpen) client.destroy();
      } catch {
        // Closed already.
      }
    }
    this.update();
  }

  private readonly hear = (message: Buffer, channel: Buffer): void => {
    try {
      this.channels.get(channel.toString())?.(message);
    } catch (error) {
      this.dependencies.log.error('A message from Redis could not be handled', {
        channel: channel.toString(),
        error,
      });
    }
  };

  private async send<Reply>(
    client: Client,
    args: RedisArgument[],
    form: 'strings' | 'buffers',
  ): Promise<Reply> {
    const nowMs = performance.now();
    if (this.outstanding++ === 0) this.waitingSinceMs = nowMs;
    this.lastSentMs = nowMs;
    try {
      const reply = form === 'buffers' ? client.sendCommand(args, bufferReplies) : client.sendCommand(args);
      return (await reply) as Reply;
    } catch (error) {
      // An error that Redis answered is an answer.
      if (error instanceof ErrorReply) throw error;
      this.counts.errors++;
      if (error instanceof ClientOfflineError || error instanceof ClientClosedError)
        throw this.unavailable(error);
      throw new LostAnswerError(error instanceof Error ? error.message : String(error));
    } finally {
      this.outstanding--;
      this.waitingSinceMs = performance.now();
      if (this.stalled) {
        this.stalled = false;
        this.update();
      }
    }
  }

  private newCommands(): Client {
    const client = makeClient(this.options());
    client.on('error', (error: Error) => this.onError(error));
    client.on('end', () => this.lost(client));
    client.on('reconnecting', () => this.lost(client));
    client.on('ready', () => void this.identify(client));
    return client;
  }

  private newSubscriber(): Client {
    const client = makeClient(this.options());
    let lost = false;
    client.on('error', (error: Error) => this.onError(error));
    client.on('reconnecting', () => {
      lost = true;
      this.update();
    });
    client.on('ready', () => {
      void this.restore(client, lost);
      lost = false;
    });
    return client;
  }

  private options(): RedisClientOptions {
    return {
      url: this.settings.url,
      disableOfflineQueue: true,
      socket: {
        connectTimeout: 5000,
        // Short at first, so that a restart is hardly noticed; jitter keeps replicas apart.
        reconnectStrategy: (attempt: number) =>
          Math.min(2000, 50 * 2 ** Math.min(attempt, 6)) * (0.5 + Math.random() / 2),
      },
    };
  }

  private connect(client: Client): void {
    client.connect().catch((error: unknown) => {
      if (!this.closed) this.dependencies.log.warn('Redis connection failed', { error });
    });
  }

  private onError(error: Error): void {
    this.counts.errors++;
    this.dependencies.log.debug('Redis connection error', { error: error.message });
  }

  private lost(client: Client): void {
    if (client !== this.commands) return;
    this.process = undefined;
    this.stalled = false;
    this.update();
  }

  /** Learns which process answers before anything else is sent to it. */
  private async identify(client: Client): Promise<void> {
    try {
      const info = await this.send<string>(client, ['INFO'], 'strings');
      const field = (name: string) => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
      const fsyncAlways = field('aof_enabled') === '1' && (await this.appendFsync(client)) === 'always';
      if (client !== this.commands || !client.isReady) return;
      this.process = { runId: field('run_id') ?? 'unknown', fsyncAlways };
      this.counts.reconnects++;
      this.update();
      await this.restore(this.subscriber, true);
    } catch (error) {
      this.dependencies.log.warn('Redis did not identify itself', { error });
    }
  }

  private async appendFsync(client: Client): Promise<string | undefined> {
    try {
      return (await this.send<string[]>(client, ['CONFIG', 'GET', 'appendfsync'], 'strings'))[1];
    } catch {
      return undefined;
    }
  }

  /** After a reconnection: channels whose subscription failed meanwhile are subscribed again. */
  private async restore(client: Client, missed: boolean): Promise<void> {
    if (client !== this.subscriber || !client.isReady) return;
    try {
      const channels = [...this.channels.keys()];
      if (channels.length > 0) await client.subscribe(channels, this.hear, true);
      this.update();
      if (missed && this.current === 'up') for (const tell of this.resubscribed) tell();
    } catch (error) {
      this.dependencies.log.warn('Redis subscriptions not restored yet', { error });
    }
  }

  /** Notices stalls, and keeps a command under way so that there is something to notice. */
  private look(): void {
    if (this.closed || !this.commands.isReady || this.process === undefined) return;
    const nowMs = performance.now();
    if (this.outstanding === 0) {
      if (nowMs - this.lastSentMs >= pingMs) this.send(this.commands, ['PING'], 'strings').catch(() => {});
      return;
    }
    const silentMs = nowMs - this.waitingSinceMs;
    if (!this.stalled && silentMs > this.settings.commandTimeoutMs) {
      this.stalled = true;
      this.counts.stalls++;
      this.update();
    }
    if (silentMs > this.settings.stallLimitMs) this.replace();
  }

  /** Gives up connections that do not answer. */
  private replace(): void {
    const old = [this.commands, this.subscriber];
    this.process = undefined;
    this.stalled = false;
    this.commands = this.newCommands();
    this.subscriber = this.newSubscriber();
    this.update();
    for (const client of old) client.destroy();
    this.start();
  }

  private update(): void {
    const up =
      !this.closed &&
      this.process !== undefined &&
      !this.stalled &&
      this.commands.isReady &&
      this.subscriber.isReady;
    const state: LinkState = up ? 'up' : 'down';
    if (state === this.current) return;
    this.current = state;
    if (!this.closed)
      this.dependencies.log.info(`Redis is ${state}`, { run_id: this.process?.runId, stalled: this.stalled });
    for (const listener of this.listeners) listener(state);
    if (state === 'up') for (const tell of this.resubscribed) tell();
  }
}
