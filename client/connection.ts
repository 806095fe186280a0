import { io, type Socket } from 'socket.io-client';
import type { WireError } from '../shared/errors.js';
import type { Positions } from '../shared/position.js';
import { Backoff, type ReconnectOptions } from './backoff.js';
import { ClientError, errorFromWire } from './client-error.js';
import type { Clock, Timer } from './clock.js';
import { globals } from './globals.js';
import { watchPage } from './page-watch.js';

/** Why the app is asked for a token. */
export type TokenReason = 'connect' | 'expiring' | 'refused';

export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>);

/** The life of a connection. */
export interface ConnectionState {
  readonly state: 'idle' | 'connecting' | 'connected' | 'waiting' | 'stopped';
  /** Why it is so: a reason of Socket.IO, or the error. */
  readonly reason?: string;
  readonly error?: ClientError;
  /** In `waiting`: the next attempt comes after so many milliseconds. */
  readonly delayMs?: number;
  /** Attempts since the last connection. */
  readonly attempt?: number;
}

export interface ConnectionSettings {
  readonly url: string;
  readonly token: TokenSource;
  readonly path: string | undefined;
  readonly transports: readonly ('websocket' | 'polling')[];
  readonly reconnect: ReconnectOptions;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly probeTimeoutMs: number;
  readonly pingEveryMs: number;
}

export interface ConnectionDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  /** The session and positions of the handshake. */
  readonly handshake: () => { readonly session_id?: string | undefined; readonly positions: Positions };
  readonly onState: (state: ConnectionState) => void;
  /** Any event of the service. */
  readonly onEvent: (event: string, data: unknown, ack: (() => void) | undefined) => void;
  readonly onPong: (latencyMs: number) => void;
  readonly onError: (error: ClientError) => void;
}

/** What Socket.IO says of a failed attempt. */
interface HandshakeError extends Error {
  /** Of a refusal of the service. */
  readonly data?: WireError;
  /** Of a failed request: its status, 0 if there was no answer, and its XMLHttpRequest. */
  readonly description?: unknown;
  readonly context?: { getResponseHeader?(name: string): string | null };
}

/** A token that these codes refuse is asked for again, once. */
const tokenCodes = ['unauthorized', 'token_expired', 'token_revoked'];
/** The service does not want this client back. */
const finalCodes = ['forbidden', 'disconnected', 'invalid_message'];
/** A connection that lasts for so long was a success: the back-off begins anew. */
const stableMs = 5000;

/** What a client needs of a connection. `client/tabs` has another one. */
export type ClientConnection = Pick<
  Connection,
  'isConnected' | 'connect' | 'disconnect' | 'request' | 'probe' | 'refresh'
>;

/** Makes the connection of a client. */
export type ConnectionFactory = (
  dependencies: ConnectionDependencies,
  settings: ConnectionSettings,
) => ClientConnection;

/**
 * One connection at a time, made again whenever it is lost. Each attempt has a socket of its own, so nothing of an earlier
 * one can arrive.
 */
export class Connection {
  private socket: Socket | undefined;
  private isUp = false;
  private isWanted = false;
  private readonly backoff: Backoff;
  private timer: Timer | undefined;
  private readonly timers = new Set<Timer>();
  private pingTimer: Timer | undefined;
  private connectedAt = 0;
  private tokenRequest: Promise<string> | undefined;
  /** Tokens refused in a row. */
  private refusals = 0;
  private refusal: ClientError | undefined;
  private serverDelayMs = 0;
  private serverWindowMs: number | undefined;
  private isProbing = false;
  private stopWatching: (() => void) | undefined;
  private pending = new Set<(error: ClientError) => void>();

  constructor(
    private readonly dependencies: ConnectionDependencies,
    private readonly settings: ConnectionSettings,
  ) {
    this.backoff = new Backoff(settings.reconnect, dependencies.random);
  }

  get isConnected(): boolean {
    return this.isUp;
  }

  connect(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    this.refusals = 0;
    this.backoff.reset();
    this.stopWatching = watchPage(this.dependencies.clock, {
      wake: () => this.probe(),
      hide: () => this.hide(),
    });
    void this.attempt();
  }

  /** Ends the connection for good. */
  disconnect(error?: ClientError): void {
    if (!this.isWanted) return;
    this.isWanted = false;
    this.stopWatching?.();
    const { clock, onState } = this.dependencies;
    for (const timer of [this.timer, ...this.timers]) clock.clearTimer(timer);
    this.timers.clear();
    this.drop('client disconnect');
    onState(error === undefined ? { state: 'idle' } : { state: 'stopped', reason: error.code, error });
  }

  /** Sends a command and resolves to its answer. */
  request<Answer>(command: string, body: object): Promise<Answer> {
    const { socket } = this;
    if (socket === undefined || !this.isUp)
      return Promise.reject(new ClientError('not_connected', `${command}: there is no connection`));
    return new Promise((resolve, reject) => {
      const { clock } = this.dependencies;
      const { requestTimeoutMs } = this.settings;
      const confirmMs = ((body as { timeout_ms?: number }).timeout_ms ?? 0) + requestTimeoutMs;
      const settle = () => {
        clock.clearTimer(timer);
        this.timers.delete(timer);
        this.pending.delete(fail);
      };
      const fail = (error: ClientError) => {
        settle();
        reject(error);
      };
      const timer = clock.setTimeout(() => {
        fail(new ClientError('timeout', `${command}: no answer within ${confirmMs} ms`));
        this.probe();
      }, confirmMs);
      this.timers.add(timer);
      this.pending.add(fail);
      socket.emit(command, body, ({ ok, error, ...answer }: { ok: boolean; error?: WireError }) => {
        settle();
        if (ok) resolve(answer as Answer);
        else reject(errorFromWire(error));
      });
    });
  }

  /** Makes sure at once that there is a connection: after a wake-up, or a change of the network. */
  probe(): void {
    if (!this.isWanted) return;
    if (!this.isUp) {
      if (this.timer === undefined) return;
      this.dependencies.clock.clearTimer(this.timer);
      void this.attempt();
      return;
    }
    if (this.isProbing) return;
    this.isProbing = true;
    const { socket } = this;
    const { clock } = this.dependencies;
    const timer = clock.setTimeout(() => {
      this.isProbing = false;
      this.timers.delete(timer);
      if (socket === this.socket) this.lost('no answer to a probe', 0);
    }, this.settings.probeTimeoutMs);
    this.timers.add(timer);
    this.ping(() => {
      this.isProbing = false;
      clock.clearTimer(timer);
      this.timers.delete(timer);
    });
  }

  /** An open connection keeps a page out of the back/forward cache, or dies there. */
  private hide(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.drop('the page is cached');
    this.timer = {};
    this.dependencies.onState({ state: 'waiting', reason: 'the page is cached' });
  }

  /** Gives the service another token, on this connection. */
  async refresh(reason: TokenReason = 'expiring'): Promise<void> {
    const { socket } = this;
    const token = await this.token(reason);
    if (socket === this.socket && this.isUp) await this.request('refresh', { token });
  }

  private async attempt(): Promise<void> {
    const { clock, handshake, onState, onEvent } = this.dependencies;
    const { settings } = this;
    this.timer = undefined;
    onState({ state: 'connecting', attempt: this.backoff.attempt });
    let token: string;
    try {
      token = await this.token(this.refusals > 0 ? 'refused' : 'connect');
    } catch (cause) {
      if (!this.isWanted || this.socket !== undefined) return;
      const error = new ClientError('token_failed', `no token: ${String(cause)}`, { cause });
      this.dependencies.onError(error);
      return this.again(error.code, error);
    }
    if (!this.isWanted || this.socket !== undefined) return;
    if (token === '') return this.disconnect(authFailed('the app gave an empty token'));
    this.refusal = undefined;
    const socket: Socket = io(settings.url, {
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      transports: [...settings.transports],
      tryAllTransports: true,
      timeout: settings.connectTimeoutMs,
      ...(settings.path !== undefined && { path: settings.path }),
      auth: { token, ...handshake() },
    });
    this.socket = socket;
    const isCurrent = () => this.socket === socket;
    const limit = clock.setTimeout(() => {
      if (isCurrent() && !this.isUp) this.lost('connect timeout');
    }, settings.connectTimeoutMs);
    this.timers.add(limit);
    socket.on('connect_error', (error: HandshakeError) => {
      if (!isCurrent()) return;
      if (error.data?.code !== undefined) this.refused(errorFromWire(error.data));
      // A proxy, or a service without room, has answered. Browsers show it of long-polling only.
      else if (Number(error.description) > 0)
        this.serverDelayMs = Number(error.context?.getResponseHeader?.('Retry-After')) * 1000 || 0;
      this.lost(error.message);
    });
    socket.on('disconnect', (reason) => isCurrent() && this.lost(reason));
    socket.onAny((event: string, data: unknown, ack: unknown) => {
      if (!isCurrent()) return;
      if (event === 'status') this.status(data as { status?: string; details?: Record<string, unknown> });
      if (event === 'error') this.refused(errorFromWire(data as WireError));
      if (event === 'token_expiring') this.keepToken(data as { expires_at?: number });
      onEvent(event, data, typeof ack === 'function' ? () => void ack() : undefined);
      this.plan();
    });
    socket.connect();
  }

  private status({ status, details }: { status?: string; details?: Record<string, unknown> }): void {
    const windowMs = details?.['reconnect_window_ms'];
    if (typeof windowMs === 'number') this.serverWindowMs = windowMs;
    const afterMs = details?.['retry_after_ms'];
    if (typeof afterMs === 'number') this.serverDelayMs = afterMs;
    if (status !== 'connected') return;
    this.isUp = true;
    this.refusals = 0;
    this.serverDelayMs = 0;
    this.serverWindowMs = undefined;
    this.connectedAt = this.dependencies.clock.now();
    this.dependencies.onState({ state: 'connected' });
  }

  /** The service says why it refuses or closes. */
  private refused(error: ClientError): void {
    if (!tokenCodes.includes(error.code) && !finalCodes.includes(error.code) && !error.retryable) return;
    this.refusal = error;
    this.serverDelayMs = error.retryAfterMs ?? 0;
  }

  private lost(reason: string, windowMs?: number): void {
    const { clock } = this.dependencies;
    if (this.isUp && clock.now() - this.connectedAt >= stableMs) this.backoff.reset();
    this.drop(reason);
    if (!this.isWanted) return;
    const error = this.refusal;
    this.refusal = undefined;
    if (error !== undefined && finalCodes.includes(error.code)) return this.disconnect(error);
    if (error !== undefined && tokenCodes.includes(error.code)) {
      // The same token again would be refused again; a function gets two chances to give a better one.
      const isHopeless = typeof this.settings.token === 'string' || ++this.refusals > 2;
      if (isHopeless) return this.disconnect(authFailed(error.message, error));
    }
    if (windowMs !== undefined) this.serverWindowMs = windowMs;
    this.again(reason, error);
  }

  private again(reason: string, error?: ClientError): void {
    if (this.timer !== undefined) return;
    const delayMs = this.backoff.nextDelayMs(this.serverDelayMs, this.serverWindowMs);
    const { attempt } = this.backoff;
    this.serverDelayMs = 0;
    this.serverWindowMs = undefined;
    if (delayMs === undefined)
      return this.disconnect(
        new ClientError('give_up', `no connection after ${attempt} attempts: ${error?.message ?? reason}`, {
          cause: error,
        }),
      );
    // Armed here, in the handler of the event, so that a hidden tab is not throttled further.
    this.timer = this.dependencies.clock.setTimeout(() => void this.attempt(), delayMs);
    this.dependencies.onState({ state: 'waiting', reason, delayMs, attempt, ...(error && { error }) });
  }

  /** Leaves the socket. What is not answered is not going to be. */
  private drop(reason: string): void {
    const { socket } = this;
    this.socket = undefined;
    this.isUp = this.isProbing = false;
    this.dependencies.clock.clearTimer(this.pingTimer);
    this.pingTimer = undefined;
    for (const fail of [...this.pending])
      fail(new ClientError('not_connected', `the connection was lost: ${reason}`));
    if (socket === undefined) return;
    socket.offAny();
    socket.removeAllListeners();
    socket.disconnect();
  }

  /** One request for a token at a time. */
  private token(reason: TokenReason): Promise<string> {
    const { token } = this.settings;
    if (typeof token === 'string') return Promise.resolve(token);
    this.tokenRequest ??= Promise.resolve()
      .then(() => token(reason))
      .finally(() => (this.tokenRequest = undefined));
    return this.tokenRequest;
  }

  /** The token expires soon: another one is fetched, again and again until it has. */
  private keepToken({ expires_at: expiresAt }: { expires_at?: number }): void {
    if (typeof this.settings.token === 'string') return;
    const { socket } = this;
    const { clock, onError } = this.dependencies;
    const retry = (cause: unknown) => {
      if (socket !== this.socket || !this.isUp) return;
      onError(new ClientError('token_failed', `the token was not renewed: ${String(cause)}`, { cause }));
      if (clock.wallTime() > (expiresAt ?? 0)) return;
      const timer = clock.setTimeout(() => {
        this.timers.delete(timer);
        this.refresh().catch(retry);
      }, 2000);
      this.timers.add(timer);
    };
    this.refresh().catch(retry);
  }

  /** The next ping is planned when something arrives, so that a hidden tab is not throttled further. */
  private plan(): void {
    const { pingEveryMs } = this.settings;
    if (pingEveryMs <= 0 || !this.isUp || this.pingTimer !== undefined) return;
    this.pingTimer = this.dependencies.clock.setTimeout(() => {
      this.pingTimer = undefined;
      // The latency of a hidden tab says nothing about the network.
      if (globals.document?.visibilityState !== 'hidden') this.ping(() => this.plan());
    }, pingEveryMs);
    this.pingTimer.unref?.();
  }

  private ping(done: () => void): void {
    const { clock, onPong } = this.dependencies;
    const sentAt = clock.now();
    this.request('ping', {}).then(
      () => {
        onPong(clock.now() - sentAt);
        done();
      },
      (error: ClientError) => error.code !== 'not_connected' && error.code !== 'timeout' && done(),
    );
  }
}

/** The token is refused for good. */
export function authFailed(message: string, cause?: ClientError): ClientError {
  return new ClientError(
    'auth_failed',
    `${message}. Give createClient a token that the service accepts: see docs/tokens.md`,
    { cause },
  );
}
