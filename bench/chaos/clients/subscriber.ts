import type { Position } from '../../../shared/position.js';
import type { HistoryFact } from '../history/event.js';
import { ChaosClient, type ClientDependencies, type ClientPlan } from './client.js';
import type { Wire, WireSubscription } from './wire.js';

/** How a subscriber goes on after a reconnection: it gives its positions, or it relies on its session. */
export type Recovery = 'positions' | 'session';

export interface SubscriberPlan extends ClientPlan {
  readonly recovery: Recovery;
  readonly topics: readonly string[];
  /** It begins with this session: that of a tab which was duplicated. */
  readonly sessionId?: string;
}

const retryMs = 150;
/** Topics of one request. */
const topicsMax = 100;

/** What the client has not recorded yet, and its acknowledgement. */
interface Held {
  readonly topic: string;
  readonly fact: HistoryFact;
  readonly acknowledge: () => void;
}

/** A client that subscribes to topics, and records what it receives in the order in which it makes sense to a reader. */
export class Subscriber extends ChaosClient {
  /** The last position of each topic. */
  private readonly positions = new Map<string, Position>();
  /** Topics whose subscription has begun on this connection. */
  private readonly begun = new Set<string>();
  /** What has come before the answer that says where its subscription begins. */
  private held: Held[] = [];
  private sessionId: string | undefined;

  constructor(
    dependencies: ClientDependencies,
    override readonly plan: SubscriberPlan,
  ) {
    super(dependencies, plan);
    this.sessionId = plan.sessionId;
  }

  /** A second client of the same user, which has the session of this one, as a duplicated tab of a browser has. */
  duplicate(name: string): Subscriber {
    const { user, sessionId } = this;
    return new Subscriber(this.dependencies, {
      ...this.plan,
      name,
      user,
      ...(sessionId !== undefined && { sessionId }),
    });
  }

  positionOf(topic: string): Position | undefined {
    return this.positions.get(topic);
  }

  /** The topics that this connection is subscribed to. */
  get subscribed(): ReadonlySet<string> {
    return this.begun;
  }

  /** Leaves a topic for a moment, then goes on where it was. */
  async leaveAndReturn(topic: string): Promise<void> {
    const { wire } = this;
    if (wire === undefined || !this.begun.has(topic)) return;
    const left = await wire.call('unsubscribe', { topics: [topic] });
    if (left?.ok !== true || wire !== this.wire) return;
    this.record({ kind: 'unsubscribed', client: this.name, connection: this.connection, topic });
    await new Promise((resolve) => setTimeout(resolve, this.dependencies.random(200)));
    if (wire !== this.wire || !this.begun.delete(topic)) return;
    await this.subscribe(wire, [topic]);
  }

  /** Records that it is connected and had time to receive everything. */
  settle(): void {
    for (const topic of this.begun)
      this.record({ kind: 'settled', client: this.name, connection: this.connection, topic });
  }

  protected opening(): { sessionId?: string } {
    this.begun.clear();
    return this.plan.recovery === 'session' && this.sessionId !== undefined
      ? { sessionId: this.sessionId }
      : {};
  }

  protected onConnected(wire: Wire, details: Record<string, unknown>): void {
    const {
      session_id: sessionId,
      recovered,
      topics = [],
    } = details as {
      session_id: string;
      recovered?: boolean;
      topics?: readonly WireSubscription[];
    };
    const askedForSession = this.plan.recovery === 'session' && this.sessionId !== undefined;
    this.sessionId = sessionId;
    this.recordConnected(askedForSession, recovered);
    for (const subscription of topics) this.onSubscribed(subscription, 'session');
    // A session that was resumed brings its topics; the client has no reason to doubt it.
    const missing = this.plan.topics.filter((topic) => !this.begun.has(topic));
    if (missing.length > 0 && !(askedForSession && recovered === true)) void this.subscribe(wire, missing);
  }

  protected onEvent(event: string, data: Record<string, unknown>, acknowledge: () => void): void {
    const on = { client: this.name, connection: this.connection };
    const { topic, epoch, sequence, id, payload } = data as {
      topic: string;
      epoch: string;
      sequence: number;
      id: string;
      payload?: { body?: string };
    };
    const body = payload?.body ?? '';
    if (event === 'message')
      this.receive(
        topic,
        { kind: 'message', ...on, topic, epoch, sequence, id, body },
        data['confirm'] === true ? acknowledge : undefined,
      );
    else if (event === 'gap')
      this.receive(topic, { kind: 'gap', ...on, topic, epoch, sequence, reason: String(data['reason']) });
    else if (event === 'unreadable') this.record({ kind: 'unreadable', ...on, text: String(data['text']) });
    else if (event === 'direct') {
      this.record({ kind: 'direct-received', ...on, user: this.user, epoch, sequence, id, body });
      acknowledge();
    } else if (event === 'presence') {
      const { event: change, user_id: user } = data as { event: 'join' | 'leave'; user_id: string };
      this.record({ kind: 'presence-event', ...on, topic, event: change, user });
    } else if (event === 'status' && data['status'] === 'session') {
      // Another connection has its session: this one goes on in a session of its own.
      this.sessionId = (data['details'] as { session_id: string }).session_id;
    } else if (event === 'status' && data['status'] === 'subscribed') {
      const { positions = [] } = (data['details'] ?? {}) as { positions?: readonly WireSubscription[] };
      for (const subscription of positions) this.onSubscribed(subscription, 'session');
    }
  }

  protected onDisconnected(): void {
    // A client with positions takes only what it can place. One with a session has received what came, as the
    // service sees it.
    if (this.plan.recovery === 'session' && this.held.length > 0) {
      this.recordConnected(true, undefined);
      for (const one of this.held) this.take(one);
    }
    this.held = [];
    this.begun.clear();
    this.record({ kind: 'disconnected', client: this.name, connection: this.connection });
  }

  private async subscribe(wire: Wire, topics: readonly string[]): Promise<void> {
    let missing = topics;
    while (wire === this.wire && missing.length > 0) {
      const asked = missing.slice(0, topicsMax);
      const since = Object.fromEntries(
        asked.flatMap((topic) => {
          const position = this.positions.get(topic);
          return position === undefined ? [] : [[topic, position] as const];
        }),
      );
      const answer = await wire.call('subscribe', { topics: asked, since, presence: true });
      if (answer === undefined || wire !== this.wire) return;
      const begun = answer.ok ? ((answer['topics'] ?? []) as readonly WireSubscription[]) : [];
      for (const subscription of begun) this.onSubscribed(subscription, 'command', since[subscription.topic]);
      missing = missing.filter((topic) => !this.begun.has(topic));
      if (begun.length < asked.length) await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  private onSubscribed(
    { topic, epoch, sequence, recovered, missed }: WireSubscription,
    by: 'command' | 'session',
    since?: Position,
  ): void {
    this.record({
      kind: 'subscribed',
      client: this.name,
      connection: this.connection,
      topic,
      by,
      ...(since !== undefined && { since }),
      epoch,
      sequence,
      ...(recovered !== undefined && { recovered }),
      ...(missed !== undefined && { missed }),
    });
    if (recovered !== true) this.positions.set(topic, { epoch, sequence });
    this.begun.add(topic);
    const mine = this.held.filter((one) => one.topic === topic);
    this.held = this.held.filter((one) => one.topic !== topic);
    for (const one of mine) this.take(one);
  }

  private receive(topic: string, fact: HistoryFact, acknowledge: () => void = () => {}): void {
    const one = { topic, fact, acknowledge };
    if (this.begun.has(topic)) this.take(one);
    else this.held.push(one);
  }

  private take({ fact, acknowledge }: Held): void {
    this.record(fact);
    acknowledge();
    if (fact.kind === 'message' || fact.kind === 'gap')
      this.positions.set(fact.topic, { epoch: fact.epoch, sequence: fact.sequence });
  }

  private recordConnected(askedForSession: boolean, recovered: boolean | undefined): void {
    this.record({
      kind: 'connected',
      client: this.name,
      connection: this.connection,
      user: this.user,
      askedForSession,
      ...(recovered !== undefined && { recovered }),
      replica: this.door?.replica ?? '',
    });
  }

  private record(fact: HistoryFact): void {
    this.dependencies.recorder.add(fact);
  }
}
