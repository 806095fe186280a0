import { io, type Socket, type SocketOptions } from 'socket.io-client';
import type { WireError } from '../shared/errors.js';
import { Backoff } from './backoff.js';
import { ClientError, errorFromWire, failed } from './client-error.js';
import { authFailed, emptyToken, gaveUp, notConnected } from './connection-errors.js';
import type { ConnectionDependencies, ConnectionSettings } from './connection-settings.js';
import { globals } from './globals.js';
import { watchPage } from './page-watch.js';
import { Timers } from './timers.js';
import { tokenRequests, type TokenRequests } from './token-requests.js';

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
/** Tokens that are issued in the second of a revocation are revoked, too: the next one is asked for later. */
const revokedMs = 1000;
/** How often a token is asked for that expires soon. */
const renewEveryMs = 2000;

/** What a client needs of a connection. `client/tabs` has another one. */
export type ClientConnection = Pick<
  Connection,
  'isConnected' | 'connect' | 'disconnect' | 'request' | 'probe' | 'refresh' | 'renew'
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
  private readonly timers: Timers;
  /** Undefined: it was never to connect. */
  private token: TokenRequests | undefined;
  /** Ends the wait for the next attempt; undefined: nothing waits. */
  private stopWaiting: (() => void) | undefined;
  private stopPinging: (() => void) | undefined;
  private connectedAt = 0;
  /** Tokens refused in a row. */
  private refusals = 0;
  private refusal: ClientError | undefined;
  private serverDelayMs = 0;
  private serverWindowMs: number | undefined;
  private isProbing = false;
  private stopWatching: (() => void) | undefined;
  private readonly unanswered = new Set<(error: ClientError) => void>();

  constructor(
    private readonly dependencies: ConnectionDependencies,
    private readonly connectionSettings: ConnectionSettings,
  ) {
    this.backoff = new Backoff(connectionSettings.reconnect, dependencies.random);
    this.timers = new Timers(dependencies.clock);
  }

  get isConnected(): boolean {
    return this.isUp;
  }

  connect(): void {
    if (this.isWanted) return;
    this.isWanted = true;
    this.refusals = 0;
    this.backoff.reset();
    // What was asked for before may be the token of another user.
    this.token = tokenRequests(this.connectionSettings, this.dependencies.clock);
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
    this.timers.clear();
    this.drop('client disconnect');
    this.dependencies.onState(error ? { state: 'stopped', reason: error.code, error } : { state: 'idle' });
  }

  /** Sends a command and resolves to its answer. */
  request<Answer>(
    command: string,
    body: object,
    limitMs = ((body as { timeout_ms?: number }).timeout_ms ?? 0) + this.connectionSettings.requestTimeoutMs,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.isUp) return reject(notConnected(command));
      const settle = (error?: ClientError) => {
        cancel();
        this.unanswered.delete(settle);
        if (error) reject(error);
      };
      const cancel = this.timers.later(() => {
        settle(new ClientError('timeout', `${command}: no answer within ${limitMs} ms`));
        this.probe();
      }, limitMs);
      this.unanswered.add(settle);
      this.socket!.emit(command, body, (given?: { ok: boolean; error?: WireError }) => {
        const { ok, error, ...answer } = given ?? {};
        if (ok) resolve(answer as Answer);
        settle(ok ? undefined : errorFromWire(error));
      });
    });
  }

  /** Makes sure at once that there is a connection: after a wake-up, or a change of the network. */
  probe(): void {
    if (!this.isUp) {
      if (!this.isWanted || !this.stopWaiting) return;
      this.stopWaiting();
      return void this.attempt();
    }
    if (this.isProbing) return;
    this.isProbing = true;
    const { socket } = this;
    void this.ping(this.connectionSettings.probeTimeoutMs).then((isAnswered) => {
      if (socket !== this.socket) return;
      this.isProbing = false;
      if (!isAnswered) this.connectionLost('no answer to a probe', 0);
    });
  }

  /** @internal Another connection at once: direct messages that had no room come with it. */
  renew(): void {
    this.backoff.reset();
    this.connectionLost('more direct messages', 0);
  }

  /** An open connection keeps a page out of the back/forward cache, or dies there. */
  private hide(): void {
    const reason = 'the page is cached';
    this.stopWaiting?.();
    this.drop(reason);
    this.stopWaiting = () => {};
    this.dependencies.onState({ state: 'waiting', reason });
  }

  /**
   * Gives the service another token, on this connection.
   *
   * @param isNew one that was asked for before will not do
   */
  async refresh(isNew = true): Promise<void> {
    const { token: ask } = this;
    const token = await ask?.('expiring', isNew);
    // Another user may have signed in meanwhile.
    if (ask === this.token) await this.request('refresh', { token });
  }

  private async attempt(): Promise<void> {
    const { handshake, onState, onError, onEvent } = this.dependencies;
    const { url, path, transports, connectTimeoutMs } = this.connectionSettings;
    const { token: ask } = this;
    this.stopWaiting = undefined;
    onState({ state: 'connecting', attempt: this.backoff.attempt });
    const token = await ask!(this.refusals ? 'refused' : 'connect').catch((error: ClientError) => error);
    // Meanwhile it has ended, another attempt was made, or the page is hidden.
    if (ask !== this.token || !this.isWanted || this.socket || this.stopWaiting) return;
    if (typeof token !== 'string') {
      onError(token);
      return this.again(token.code, token);
    }
    if (token === '') return this.disconnect(authFailed(emptyToken));
    this.refusal = undefined;
    const socket: Socket = (this.socket = io(url, {
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      transports,
      tryAllTransports: true,
      // The timer below is for the whole attempt.
      timeout: false,
      path,
      auth: { token, ...handshake() },
    } as unknown as Partial<SocketOptions>));
    const isCurrent = () => this.socket === socket;
    this.timers.later(
      () => isCurrent() && !this.isUp && this.connectionLost('connect timeout'),
      connectTimeoutMs,
    );
    socket.on('connect_error', ({ data, description, context, message }: HandshakeError) => {
      if (!isCurrent()) return;
      if (data?.code) this.refused(errorFromWire(data));
      // A proxy, or a service without room, has answered. Browsers show it of long-polling only.
      else if (Number(description) > 0)
        this.serverDelayMs = Number(context?.getResponseHeader?.('Retry-After')) * 1000 || 0;
      this.connectionLost(message);
    });
    socket.on('disconnect', (reason) => isCurrent() && this.connectionLost(reason));
    socket.onAny((event: string, data: unknown, ack: unknown) => {
      if (!isCurrent()) return;
      try {
        if (event === 'status') this.status(data as { status?: string; details?: Record<string, unknown> });
        if (event === 'error') this.refused(errorFromWire(data as WireError));
        if (event === 'token_expiring') this.keepToken(data as { expires_at?: number });
        onEvent(event, data, typeof ack === 'function' ? () => void ack() : undefined);
      } catch (cause) {
        // An event of another program, that has the name of one of the service.
        onError(failed('internal', `${event} cannot be read`, cause));
      }
      this.plan();
    });
    socket.connect();
  }

  private status({ status, details = {} }: { status?: string; details?: Record<string, unknown> }): void {
    const { reconnect_window_ms: windowMs, retry_after_ms: afterMs } = details;
    if (typeof windowMs === 'number') this.serverWindowMs = windowMs;
    if (typeof afterMs === 'number') this.serverDelayMs = afterMs;
    if (status !== 'connected') return;
    this.isUp = true;
    this.refusals = this.serverDelayMs = 0;
    this.serverWindowMs = undefined;
    this.connectedAt = this.dependencies.clock.now();
    this.dependencies.onState({ state: 'connected' });
  }

  /** The service says why it refuses or closes. */
  private refused(error: ClientError): void {
    if (!error.retryable && ![...tokenCodes, ...finalCodes].includes(error.code)) return;
    this.refusal = error;
    this.serverDelayMs = error.retryAfterMs ?? (error.code === 'token_revoked' ? revokedMs : 0);
  }

  private connectionLost(reason: string, windowMs?: number): void {
    if (this.isUp && this.dependencies.clock.now() - this.connectedAt >= stableMs) this.backoff.reset();
    this.drop(reason);
    if (!this.isWanted) return;
    const error = this.refusal;
    this.refusal = undefined;
    if (error && finalCodes.includes(error.code)) return this.disconnect(error);
    // The same token again would be refused again; a function gets two chances to give a better one.
    if (
      error &&
      tokenCodes.includes(error.code) &&
      (typeof this.connectionSettings.token === 'string' || ++this.refusals > 2)
    )
      return this.disconnect(authFailed(error.message, error));
    this.serverWindowMs = windowMs ?? this.serverWindowMs;
    this.again(reason, error);
  }

  private again(reason: string, error?: ClientError): void {
    if (this.stopWaiting) return;
    const delayMs = this.backoff.nextDelayMs(this.serverDelayMs, this.serverWindowMs);
    const { attempt } = this.backoff;
    this.serverDelayMs = 0;
    this.serverWindowMs = undefined;
    if (delayMs === undefined) return this.disconnect(gaveUp(attempt, error?.message ?? reason, error));
    // Armed here, in the handler of the event, so that a hidden tab is not throttled further.
    this.stopWaiting = this.timers.later(() => void this.attempt(), delayMs);
    this.dependencies.onState({ state: 'waiting', reason, delayMs, attempt, ...(error && { error }) });
  }

  /** Leaves the socket. What is not answered is not going to be. */
  private drop(reason: string): void {
    const { socket } = this;
    this.socket = undefined;
    this.isUp = this.isProbing = false;
    this.stopPinging?.();
    this.stopPinging = undefined;
    for (const settle of this.unanswered) settle(notConnected(reason));
    // Its listeners do nothing any more: it is not the current one.
    socket?.disconnect();
  }

  /** The token expires soon: another one is fetched, again and again until it has. */
  private keepToken({ expires_at: expiresAt = 0 }: { expires_at?: number }): void {
    if (typeof this.connectionSettings.token === 'string') return;
    const { socket } = this;
    const { clock, onError } = this.dependencies;
    const renew = () =>
      void this.refresh(false).catch((error: ClientError) => {
        if (socket !== this.socket || !this.isUp) return;
        onError(error);
        if (clock.wallTime() <= expiresAt) this.timers.later(renew, renewEveryMs);
      });
    renew();
  }

  /** The next ping is planned when something arrives, so that a hidden tab is not throttled further. */
  private plan(): void {
    const { pingEveryMs } = this.connectionSettings;
    if (pingEveryMs <= 0 || !this.isUp || this.stopPinging) return;
    this.stopPinging = this.timers.later(() => {
      this.stopPinging = undefined;
      // The latency of a hidden tab says nothing about the network.
      if (globals.document?.visibilityState !== 'hidden') void this.ping().then(() => this.plan());
    }, pingEveryMs);
  }

  /** Resolves to whether the service has answered, with a refusal perhaps. */
  private ping(limitMs?: number): Promise<boolean> {
    const { clock, onPong } = this.dependencies;
    const sentAt = clock.now();
    return this.request('ping', {}, limitMs).then(
      () => {
        onPong(clock.now() - sentAt);
        return true;
      },
      ({ code }: ClientError) => code !== 'not_connected' && code !== 'timeout',
    );
  }
}
