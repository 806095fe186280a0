import type { WireError } from '../../shared/errors.js';
import { Backoff } from '../backoff.js';
import { ClientError, errorFromWire } from '../client-error.js';
import type { Timer } from '../clock.js';
import { authFailed, emptyToken, gaveUp, notConnected } from '../connection-errors.js';
import { Connection, type ClientConnection } from '../connection.js';
import type { ConnectionDependencies, ConnectionSettings, ConnectionState } from '../connection-settings.js';
import { watchPage } from '../page-watch.js';
import { plain } from '../plain.js';
import { tokenRequests, type TokenReason, type TokenRequests } from '../token-requests.js';
import { holdLock, type Channel, type TabsBrowser } from './browser.js';
import { groupOf } from './group.js';
import { HubCheck } from './hub-check.js';
import { hostHub, newId, tabLock } from './hub-host.js';
import { sentError, type SentError, type HubMessage, type TabMessage } from './messages.js';

type Say = TabMessage extends infer One ? (One extends unknown ? Omit<One, 'from' | 'hub'> : never) : never;

/** @internal */
interface Pending {
  readonly timer: Timer;
  resolve(answer: unknown): void;
  reject(error: ClientError): void;
}

/** A worker that holds no connection after this time is not waited for, in milliseconds. */
const workerMs = 3000;
/** The connection of a tab: held by a worker, or by one of the tabs, for all of them. */
export class TabConnection implements ClientConnection {
  /** Where the page may have no locks. */
  private own: ClientConnection | undefined;
  private isWanted = false;
  private isUp = false;
  /** Undefined: this tab has not joined. Aborted when it leaves. */
  private membership: AbortController | undefined;
  private candidacy: AbortController | undefined;
  private id = '';
  private group = '';
  private channel: Channel | undefined;
  /** Who holds the connection; undefined: nobody has answered yet. */
  private hub: string | undefined;
  private readonly pending = new Map<number, Pending>();
  private numbers = 0;
  private readonly check: HubCheck;
  private retry: Timer | undefined;
  private readonly backoff: Backoff;
  /** The token by which this tab has found its group: used once. */
  private firstToken: string | undefined;
  /** Undefined: it was never to connect. */
  private token: TokenRequests | undefined;
  private stopWatching: (() => void) | undefined;

  constructor(
    private readonly dependencies: ConnectionDependencies,
    private readonly settings: ConnectionSettings,
    private readonly browser: TabsBrowser,
    private readonly name: string,
  ) {
    this.backoff = new Backoff(settings.reconnect, dependencies.random);
    const { clock, random } = dependencies;
    this.check = new HubCheck(
      {
        clock,
        random,
        probe: (wake) => this.say({ type: 'probe', wake }),
        steal: () => this.stand(true),
      },
      settings.probeTimeoutMs,
    );
  }

  get isConnected(): boolean {
    return this.own?.isConnected ?? this.isUp;
  }

  connect(): void {
    if (this.own) return this.own.connect();
    if (this.isWanted) return;
    this.isWanted = true;
    // What was asked for before may be the token of another user.
    this.token = tokenRequests(this.settings, this.dependencies.clock);
    this.stopWatching = watchPage(this.dependencies.clock, {
      wake: () => this.probe(),
      hide: () => this.hide('the page is cached'),
      freeze: () => this.hide('the page is frozen'),
    });
    void this.join();
  }

  disconnect(error?: ClientError): void {
    if (this.own) return this.own.disconnect(error);
    if (!this.isWanted) return;
    this.isWanted = false;
    this.stopWatching?.();
    this.leave('client disconnect');
    this.dependencies.onState(error ? { state: 'stopped', reason: error.code, error } : { state: 'idle' });
  }

  probe(): void {
    if (this.own) return this.own.probe();
    if (!this.isWanted) return;
    if (!this.membership) {
      this.dependencies.clock.clearTimer(this.retry);
      void this.join();
    } else this.checkHub(true);
  }

  /** @internal Says hello once more: the holder then sends what no tab has acknowledged. */
  renew(): void {
    if (this.own) return this.own.renew();
    this.moved('more direct messages');
  }

  async refresh(): Promise<void> {
    if (this.own) return this.own.refresh();
    await this.request('refresh', { token: await this.token?.('expiring', true) });
  }

  request<Answer>(command: string, body: object): Promise<Answer> {
    if (this.own) return this.own.request(command, body);
    if (!this.isUp) return Promise.reject(notConnected(command));
    const { token, timeout_ms: confirmMs = 0 } = body as {
      readonly token?: string;
      readonly timeout_ms?: number;
    };
    if (command === 'refresh' && this.groupOf(token!) !== this.group)
      return Promise.reject(
        new ClientError('forbidden', 'the token is of another user, or has other rights', {
          field: 'token',
        }),
      );
    return new Promise((resolve, reject) => {
      const n = ++this.numbers;
      const { clock } = this.dependencies;
      const { requestTimeoutMs, probeTimeoutMs } = this.settings;
      // The holder of the connection has the same limit, and answers first.
      const limitMs = confirmMs + requestTimeoutMs + probeTimeoutMs;
      const timer = clock.setTimeout(() => {
        this.pending.delete(n);
        reject(new ClientError('timeout', `${command}: no answer within ${limitMs} ms`));
        this.checkHub(true);
      }, limitMs);
      this.pending.set(n, { timer, resolve: resolve as (answer: unknown) => void, reject });
      this.say({ type: 'request', n, command, body });
    });
  }

  /** Finds the group of the token, and says hello to whoever holds its connection. */
  private async join(): Promise<void> {
    const membership = (this.membership = new AbortController());
    const { signal } = membership;
    const { clock, onError, onState } = this.dependencies;
    onState({ state: 'connecting', attempt: this.backoff.attempt });
    let token: string;
    try {
      token = this.firstToken ?? (await this.token!('connect'));
    } catch (cause) {
      if (signal.aborted) return;
      const error = cause as ClientError;
      onError(error);
      this.membership = undefined;
      const delayMs = this.backoff.nextDelayMs();
      const { attempt } = this.backoff;
      if (delayMs === undefined) return this.disconnect(gaveUp(attempt, error.message, cause));
      this.retry = clock.setTimeout(() => void this.join(), delayMs);
      return onState({ state: 'waiting', reason: error.code, error, delayMs, attempt });
    }
    if (signal.aborted) return;
    if (token === '') return this.disconnect(authFailed(emptyToken));
    this.firstToken = token;
    this.group = this.groupOf(token);
    // Another one each time: what is on its way to a page that had left is not for it.
    this.id = newId();
    try {
      await holdLock(this.browser, tabLock(this.group, this.id), signal);
    } catch {
      return this.goAlone();
    }
    if (signal.aborted) return;
    this.channel = this.browser.openChannel(this.group);
    this.channel.onmessage = ({ data }) => this.received(data as HubMessage);
    this.hello();
    this.checkHub(false);
    const { startWorker } = this.browser;
    const stand = () => {
      if (!signal.aborted) this.stand();
    };
    if (!startWorker) return stand();
    startWorker(this.group, stand);
    clock.setTimeout(stand, workerMs);
  }

  /** This page may not see others. */
  private goAlone(): void {
    this.membership = undefined;
    this.stopWatching?.();
    this.own = new Connection(this.dependencies, this.settings);
    this.own.connect();
  }

  /** Waits for its turn to hold the connection. */
  private stand(steal = false): void {
    if (this.candidacy && !steal) return;
    this.candidacy?.abort();
    const candidacy = (this.candidacy = new AbortController());
    hostHub(this.browser, this.group, candidacy.signal, {
      steal,
      // Another tab took this one for dead: it was stopped for a while.
      lost: () => {
        if (this.candidacy !== candidacy) return;
        this.candidacy = undefined;
        this.stand();
      },
    });
  }

  private leave(reason: string): void {
    const { clock } = this.dependencies;
    clock.clearTimer(this.retry);
    this.check.stop();
    this.say({ type: 'bye' });
    this.lost(reason);
    this.candidacy?.abort();
    this.membership?.abort();
    this.channel?.close();
    // Another user may have logged in when the page comes back.
    this.channel = this.candidacy = this.membership = this.firstToken = undefined;
  }

  private hide(reason: string): void {
    if (!this.membership) return;
    this.leave(reason);
    this.dependencies.onState({ state: 'waiting', reason });
  }

  private hello(): void {
    const {
      url,
      path,
      transports,
      reconnect,
      connectTimeoutMs,
      requestTimeoutMs,
      probeTimeoutMs,
      pingEveryMs,
    } = this.settings;
    this.say({
      type: 'hello',
      settings: {
        url,
        path,
        transports,
        reconnect,
        connectTimeoutMs,
        requestTimeoutMs,
        probeTimeoutMs,
        pingEveryMs,
      },
      session_id: undefined,
      ...this.dependencies.handshake(),
    });
  }

  /** What is not answered is not going to be. */
  private lost(reason: string): void {
    this.isUp = false;
    this.hub = undefined;
    for (const { timer, reject } of this.pending.values()) {
      this.dependencies.clock.clearTimer(timer);
      reject(notConnected(reason));
    }
    this.pending.clear();
  }

  /** Another page holds the connection now, or none does. */
  private moved(reason: string): void {
    const { onState } = this.dependencies;
    if (this.hub !== undefined) {
      this.lost(reason);
      onState({ state: 'waiting', reason, delayMs: 0 });
      // A listener may have ended it.
      if (!this.isWanted) return;
      onState({ state: 'connecting', attempt: 0 });
    }
    this.hello();
  }

  private received(message: HubMessage): void {
    const { hub, to } = message;
    if (to !== undefined && !to.includes(this.id)) return;
    if (message.type === 'hub') {
      this.check.alive();
      // By its own holder: it does not know this tab any more.
      return hub === this.hub && to === undefined
        ? undefined
        : this.moved('another page holds the connection');
    }
    if (this.hub === undefined && to !== undefined && message.type === 'state') {
      this.hub = hub;
      // Its holder may end in any moment: then this tab may be the next one.
      this.stand();
    }
    if (hub !== this.hub) return;
    this.check.alive();
    const { onEvent, onPong, onError } = this.dependencies;
    switch (message.type) {
      case 'alive':
        return;
      case 'gone':
        return this.moved('the page that held the connection has gone');
      case 'state': {
        const { error, ...state } = message.state;
        return this.changed(error ? { ...state, error: errorFromWire(error as Partial<WireError>) } : state);
      }
      case 'event': {
        const { event, data, n } = message;
        return onEvent(event, data, n === undefined ? undefined : () => this.say({ type: 'ack', n }));
      }
      case 'answer': {
        const { n, answer, error } = message;
        const waiting = this.pending.get(n);
        if (!waiting) return;
        this.pending.delete(n);
        this.dependencies.clock.clearTimer(waiting.timer);
        return error ? waiting.reject(errorFromWire(error as Partial<WireError>)) : waiting.resolve(answer);
      }
      case 'token?':
        return void this.giveToken(message.n, message.reason);
      case 'pong':
        return onPong(message.latencyMs);
      case 'error':
        return onError(errorFromWire(message.error as Partial<WireError>));
    }
  }

  private changed(state: ConnectionState): void {
    const wasUp = this.isUp;
    this.isUp = state.state === 'connected';
    if (this.isUp) {
      this.firstToken = undefined;
      this.backoff.reset();
    }
    // What was asked by way of the former connection is answered by its holder.
    if (state.state === 'stopped') return this.disconnect(state.error);
    // The holder had let it go, and begins again.
    if (state.state === 'idle') return;
    if (wasUp && state.state === 'connected') return;
    this.dependencies.onState(state);
  }

  private async giveToken(n: number, reason: TokenReason): Promise<void> {
    const { membership } = this;
    let token = reason === 'connect' ? this.firstToken : undefined;
    let error: SentError | undefined;
    try {
      token ??= await this.token!(reason);
    } catch (cause) {
      error = sentError(cause as ClientError);
    }
    // This tab has left meanwhile: the token may be of a former user.
    if (membership !== this.membership) return;
    this.firstToken = undefined;
    const isOfGroup = token !== undefined && this.groupOf(token) === this.group;
    this.say({ type: 'token', n, token: isOfGroup ? token : undefined, error });
    if (isOfGroup || error) return;
    // Another user has logged in, or one has other rights now.
    this.leave('the token is of another user');
    if (!this.isWanted) return;
    this.dependencies.onState({ state: 'waiting', reason: 'the token is of another user', delayMs: 0 });
    this.firstToken = token;
    void this.join();
  }

  private groupOf(token: string): string {
    return groupOf(this.settings.url, this.settings.path, token, this.name);
  }

  private checkHub(wake: boolean): void {
    if (this.channel) this.check.now(wake);
  }

  private say(message: Say): void {
    // Whoever holds the connection now is to answer a probe.
    const hub = message.type === 'probe' ? undefined : this.hub;
    // What an app has given may be a proxy, which cannot be sent.
    this.channel?.postMessage(plain({ from: this.id, hub, ...message }));
  }
}
