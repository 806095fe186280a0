import type { WireError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { errorFromWire, type ClientError } from '../client-error.js';
import { systemClock, type Timer } from '../clock.js';
import type { Connection } from '../connection.js';
import type { ConnectionDependencies, ConnectionSettings, ConnectionState } from '../connection-settings.js';
import type { TokenReason } from '../token-requests.js';
import { sentError, sentState, type HubMessage, type SharedSettings, type TabMessage } from './messages.js';
import { SharedTopics } from './shared-topics.js';

type Say = HubMessage extends infer One ? (One extends unknown ? Omit<One, 'hub'> : never) : never;

/** @internal */
interface HubDependencies {
  readonly id: string;
  readonly say: (message: HubMessage) => void;
  readonly connect: (dependencies: ConnectionDependencies, settings: ConnectionSettings) => Connection;
  /** Calls back when a tab has gone, however it went. */
  readonly whenGone: (tab: string, gone: () => void) => void;
}

/** What the service has subscribed by itself. */
type Restored = Parameters<SharedTopics['restored']>[0];

/** A question for a token. @internal */
interface Question {
  readonly n: number;
  readonly tab: string;
  give(token: string): void;
  /** The next tab is asked. */
  fail(error?: ClientError): void;
}

/** Tabs that are there say so within this time, in milliseconds. */
const gatherMs = 50;
/** Tabs subscribe again at once; what they have not by then, they do not want any more. */
const claimMs = 5000;
/** If a tab does not give its token within this time, the next one is asked, too. */
const tokenMs = 3000;
/** Direct messages that no tab has acknowledged are kept for tabs that come later; more come with the next connection, which is made when these are handled. */
const directsMax = 1000;
/** Acknowledgements that tabs may still give. Of more, the oldest are not given any more. */
const acksMax = 10_000;

/** Holds the connection of all tabs: a client to the service, and to each tab what a connection of its own would be. */
export class Hub {
  private readonly topics: SharedTopics;
  private readonly tabs = new Set<string>();
  private connection: Connection | undefined;
  private state: ConnectionState = { state: 'idle' };
  private connected: { readonly details: Readonly<Record<string, unknown>> } | undefined;
  private sessionId: string | undefined;
  private readonly acks = new Map<number, () => void>();
  private readonly directs = new Map<number, unknown>();
  private isFull = false;
  /** Who is asked for a token now. */
  private asked: Question | undefined;
  private patience: Timer | undefined;
  private numbers = 0;
  private isEnded = false;
  private claims: Timer | undefined;

  constructor(private readonly dependencies: HubDependencies) {
    this.topics = new SharedTopics({
      request: (command, body) => this.connection!.request(command, body),
      later: (run, delayMs) => systemClock.setTimeout(() => this.connected && run(), delayMs),
    });
    this.say({ type: 'hub' });
  }

  /** What a tab says. */
  received(message: TabMessage): void {
    const { from, hub } = message;
    if (this.isEnded || (hub !== undefined && hub !== this.dependencies.id)) return;
    if (message.type === 'hello') return this.hello(message);
    if (message.type === 'probe') {
      // A tab that this hub does not know has to say hello.
      this.say(this.tabs.has(from) ? { to: [from], type: 'alive' } : { to: [from], type: 'hub' });
      if (message.wake) this.connection?.probe();
      return;
    }
    if (!this.tabs.has(from)) return;
    switch (message.type) {
      case 'bye':
        return this.remove(from);
      case 'connect':
        return this.connection?.connect();
      case 'ack':
        this.acks.get(message.n)?.();
        this.acks.delete(message.n);
        this.directs.delete(message.n);
        if (this.isFull && !this.directs.size) this.connection?.renew();
        return;
      case 'token': {
        const { n, token, error } = message;
        const { asked } = this;
        if (n !== asked?.n) return;
        if (token !== undefined) asked.give(token);
        else if (from === asked.tab) asked.fail(error && errorFromWire(error as Partial<WireError>));
        return;
      }
      case 'request':
        this.request(from, message.command, message.body).then(
          (answer) => this.say({ to: [from], type: 'answer', n: message.n, answer }),
          (error: ClientError) =>
            this.say({ to: [from], type: 'answer', n: message.n, error: sentError(error) }),
        );
    }
  }

  /** Ends the connection. Another hub may have taken over. */
  end(): void {
    this.say({ type: 'gone' });
    this.isEnded = true;
    systemClock.clearTimer(this.claims);
    this.connection?.disconnect();
    // Nor is the next one asked.
    this.tabs.clear();
    this.asked?.fail();
  }

  private hello({
    from,
    settings,
    session_id: sessionId,
    positions,
  }: TabMessage & { readonly type: 'hello' }): void {
    this.topics.removeTab(from);
    this.topics.add(from, positions, !!this.connected);
    this.sessionId ??= sessionId;
    if (!this.tabs.has(from)) {
      this.tabs.add(from);
      this.dependencies.whenGone(from, () => this.remove(from));
    }
    if (!this.connection) this.open(settings);
    else this.connection.connect();
    this.say({ to: [from], type: 'state', state: sentState(this.state) });
    if (!this.connected) return;
    // Its topics it asks for itself.
    this.event([from], 'status', {
      status: 'connected',
      details: { ...this.connected.details, topics: [], rejected: [] },
    });
    for (const [n, data] of this.directs) this.event([from], 'direct', data, n);
  }

  private remove(tab: string): void {
    if (!this.tabs.delete(tab) || this.isEnded) return;
    if (this.asked?.tab === tab) this.asked.fail();
    this.topics.removeTab(tab);
    if (this.tabs.size > 0) return;
    this.connection?.disconnect();
    this.connection = undefined;
    this.state = { state: 'idle' };
  }

  private open(settings: SharedSettings): void {
    const connection = this.dependencies.connect(
      {
        clock: systemClock,
        random: Math.random,
        handshake: () => {
          const positions = this.topics.positions();
          return positions ? { session_id: this.sessionId, positions } : { positions: {} };
        },
        onState: (state) => connection === this.connection && this.changed(state),
        onEvent: (event, data, ack) => connection === this.connection && this.happened(event, data, ack),
        onPong: (latencyMs) => this.say({ type: 'pong', latencyMs }),
        onError: (error) => this.say({ type: 'error', error: sentError(error) }),
      },
      { ...settings, token: (reason) => this.token(reason) },
    );
    this.connection = connection;
    // Tabs that are there already say where they are, so that the service replays for all of them.
    systemClock.setTimeout(
      () => connection === this.connection && !this.isEnded && connection.connect(),
      gatherMs,
    );
  }

  /** Any tab may give the token: all have the same user and rights. The first one that does is enough. */
  private token(reason: TokenReason): Promise<string> {
    const n = ++this.numbers;
    let left = [...this.tabs];
    return new Promise<string>((give, reject) => {
      const fail = (error?: ClientError) => {
        systemClock.clearTimer(this.patience);
        left = left.filter((one) => this.tabs.has(one));
        const tab = left.shift();
        if (tab === undefined) return reject(error ?? new Error('no tab has given a token'));
        this.asked = { n, tab, give, fail };
        this.say({ to: [tab], type: 'token?', n, reason });
        // The last one has as long as the connection waits.
        if (left.length > 0) this.patience = systemClock.setTimeout(fail, tokenMs);
      };
      fail();
    }).finally(() => {
      systemClock.clearTimer(this.patience);
      this.asked = undefined;
    });
  }

  private changed(state: ConnectionState): void {
    this.state = state;
    if (state.state !== 'connecting' && state.state !== 'connected') {
      this.connected = undefined;
      systemClock.clearTimer(this.claims);
      this.acks.clear();
      this.directs.clear();
      this.isFull = false;
      this.topics.disconnected();
    }
    this.say({ type: 'state', state: sentState(state) });
  }

  private happened(event: string, data: unknown, ack: (() => void) | undefined): void {
    const about = data as Position & { readonly topic?: string };
    switch (event) {
      case 'message':
        return this.event(this.topics.received(about.topic!, about), event, data, this.ackOf(ack));
      case 'gap':
        if (about.topic!.startsWith('$user/')) return this.event(undefined, event, data);
        return this.event(this.topics.received(about.topic!, about, true), event, data);
      case 'presence':
        return this.event(this.topics.followers(about.topic!, true), event, data);
      case 'direct': {
        // The order is kept: after one that has no room, none is taken.
        this.isFull ||= this.directs.size >= directsMax;
        if (this.isFull) return;
        const n = this.ackOf(ack);
        if (n) this.directs.set(n, data);
        return this.event(undefined, event, data, n);
      }
      case 'status':
        return this.status(data as { status: string; details: Record<string, unknown> });
      case 'token_expiring':
        return;
      default:
        return this.event(undefined, event, data);
    }
  }

  private status(status: {
    readonly status: string;
    readonly details: Readonly<Record<string, unknown>>;
  }): void {
    const { details } = status;
    switch (status.status) {
      case 'connected':
        this.connected = { details };
        this.sessionId = details['session_id'] as string;
        this.topics.restored(details['topics'] as Restored);
        this.claims = systemClock.setTimeout(() => this.topics.dropUnclaimed(), claimMs);
        return this.event(undefined, 'status', {
          ...status,
          details: { ...details, topics: [], rejected: [] },
        });
      case 'session':
        this.sessionId = details['session_id'] as string;
        break;
      case 'subscribed':
        return this.topics.restored(details['positions'] as Restored);
      case 'unsubscribed':
        for (const [tab, topics] of this.topics.ended((details['topics'] ?? []) as string[]))
          this.event([tab], 'status', { ...status, details: { ...details, topics } });
        return;
    }
    this.event(undefined, 'status', status);
  }

  private async request(tab: string, command: string, body: object): Promise<unknown> {
    if (command === 'subscribe')
      return this.topics.subscribe(tab, body as Parameters<SharedTopics['subscribe']>[1]);
    if (command === 'unsubscribe')
      return this.topics.unsubscribe(tab, (body as { readonly topics: readonly string[] }).topics);
    return this.connection!.request(command, body);
  }

  private ackOf(ack: (() => void) | undefined): number | undefined {
    if (!ack) return undefined;
    const n = ++this.numbers;
    this.acks.set(n, ack);
    if (this.acks.size > acksMax) this.acks.delete(this.acks.keys().next().value!);
    return n;
  }

  private event(to: readonly string[] | undefined, event: string, data: unknown, n?: number): void {
    if (to?.length === 0) return;
    this.say({ ...(to && { to }), type: 'event', event, data, n });
  }

  private say(message: Say): void {
    if (!this.isEnded) this.dependencies.say({ hub: this.dependencies.id, ...message } as HubMessage);
  }
}
