import { ClientClosedError, ClientOfflineError, ErrorReply, RESP_TYPES } from 'redis';
import type { Log } from '../../logging/log.js';
import { connectLimitMs, destroy, type RedisClient } from './redis-client.js';
import type { RedisConnector } from './redis-connector.js';
import { unavailable } from './redis-refusals.js';
import type { RedisArgument, ReplyForm } from './redis-store.js';
import type { RedisWrites } from './redis-writes.js';

interface RedisCommandsDependencies {
  readonly log: Log;
  readonly connector: RedisConnector;
  readonly writes: RedisWrites;
  readonly counts: { errors: number; stalls: number };
  /** The connection is open; nothing was sent on it yet. */
  readonly onReady: () => void;
  readonly onLost: () => void;
  /** Called when {@link RedisCommands.isStalled} has changed. */
  readonly onChange: () => void;
  readonly onError: (error: Error) => void;
  /** Redis has replied on the current connection that it cannot serve the log. */
  readonly onCannotServe: () => void;
  /** The connection hangs, and should be replaced. */
  readonly onHang: () => void;
}

export interface RedisCommandsSettings {
  /** Redis counts as stalled when a command is unanswered for this long. */
  readonly commandTimeoutMs: number;
  /** A stall of this length closes the connection. */
  readonly stallLimitMs: number;
}

/**
 * A command was sent and the connection was lost before the response: the command may or may not have run.
 */
export class ResponseLostError extends Error {
  override readonly name = 'ResponseLostError';
}

const bufferReplies = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } } as const;

/**
 * Error replies of a Redis that does not serve the log, or not yet. In older versions they appear inside the
 * error of a script.
 */
const cannotServe = /\b(READONLY|LOADING|MASTERDOWN)\b/;

/** The connection for commands, and whether Redis answers them. */
export class RedisCommands {
  /** Whether an answer is overdue. */
  isStalled = false;
  private current: RedisClient;
  private unanswered = 0;
  /** Time of the last response on this connection, or of sending the first unanswered command. */
  private lastReceivedAt = performance.now();
  private closed = false;

  constructor(
    private readonly dependencies: RedisCommandsDependencies,
    private readonly settings: RedisCommandsSettings,
  ) {
    this.current = this.newClient();
  }

  /** The connection in use. */
  get client(): RedisClient {
    return this.current;
  }

  get isReady(): boolean {
    return this.current.isReady;
  }

  connect(): void {
    if (this.dependencies.connector.place.host === undefined) return;
    this.current.connect().catch((error: unknown) => {
      if (!this.closed) this.dependencies.log.warn('Redis connection failed', { error });
    });
  }

  /**
   * Sends a command now, or throws.
   *
   * @param client a connection that was in use, and may have been replaced meanwhile
   * @throws RefusalError `unavailable` if it was not sent; {@link ResponseLostError} if it was sent and no
   * response came.
   */
  async send<Reply>(client: RedisClient, args: RedisArgument[], form: ReplyForm = 'strings'): Promise<Reply> {
    if (this.unanswered++ === 0) this.lastReceivedAt = performance.now();
    try {
      const reply = form === 'buffers' ? client.sendCommand(args, bufferReplies) : client.sendCommand(args);
      return (await reply) as Reply;
    } catch (error) {
      // An error reply is a response, so it is not a lost one.
      if (error instanceof ErrorReply) {
        this.dependencies.writes.onError(error.message);
        if (cannotServe.test(error.message) && client === this.current) this.dependencies.onCannotServe();
        throw error;
      }
      this.dependencies.counts.errors++;
      if (error instanceof ClientOfflineError || error instanceof ClientClosedError) throw unavailable(error);
      throw new ResponseLostError(error instanceof Error ? error.message : String(error));
    } finally {
      this.unanswered--;
      if (client === this.current) this.dataReceived();
    }
  }

  /**
   * Notices a stall; must be called several times a second, while some command is in flight: only an unanswered one shows it.
   *
   * @param isInUse whether Redis has been identified
   */
  watch(isInUse: boolean): void {
    if (this.isReady && this.unanswered === 0) return;
    const silentMs = performance.now() - this.lastReceivedAt;
    const { commandTimeoutMs, stallLimitMs } = this.settings;
    if (!this.isStalled && isInUse && silentMs > commandTimeoutMs) {
      this.isStalled = true;
      this.dependencies.counts.stalls++;
      this.dependencies.onChange();
    }
    const limitMs = this.isReady ? stallLimitMs : Math.max(stallLimitMs, connectLimitMs);
    if (silentMs > limitMs) this.dependencies.onHang();
  }

  /** Replaces the connection by a new one, which is not connected yet. */
  replace(): void {
    const former = this.current;
    this.current = this.newClient();
    this.lost();
    destroy(former);
  }

  close(): void {
    this.closed = true;
    destroy(this.current);
  }

  private newClient(): RedisClient {
    const client = this.dependencies.connector.newClient();
    const ifCurrent = (then: () => void) => () => {
      if (client === this.current) then();
    };
    client.on('error', (error: Error) => {
      this.dependencies.onError(error);
      if (client === this.current) this.lastReceivedAt = performance.now();
    });
    const onLost = ifCurrent(() => this.lost());
    client.on('end', onLost);
    client.on('reconnecting', onLost);
    client.on(
      'connect',
      ifCurrent(() => this.dataReceived()),
    );
    client.on('ready', ifCurrent(this.dependencies.onReady));
    return client;
  }

  private dataReceived(): void {
    this.lastReceivedAt = performance.now();
    if (!this.isStalled) return;
    this.isStalled = false;
    this.dependencies.onChange();
  }

  private lost(): void {
    this.isStalled = false;
    this.lastReceivedAt = performance.now();
    this.dependencies.onLost();
  }
}
