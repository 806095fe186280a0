import type { WireError } from '../../shared/errors.js';
import type { Position, Positions } from '../../shared/position.js';
import { ClientError } from '../client-error.js';

interface SubscribeBody {
  readonly topics: readonly string[];
  readonly since?: Positions;
  readonly presence?: boolean;
}

interface SubscribedTopic extends Position {
  readonly topic: string;
  readonly recovered?: boolean;
}

interface RejectedTopic {
  readonly topic: string;
  readonly error: Partial<WireError>;
}

export interface SubscribeAnswer {
  readonly topics: readonly SubscribedTopic[];
  readonly rejected?: readonly RejectedTopic[];
}

/** How a tab follows a topic. `kept`: since before this connection, so it receives what is replayed. @internal */
interface Interest {
  presence: boolean;
  kept: boolean;
}

/** @internal */
interface Entry {
  state: 'none' | 'asked' | 'joined';
  presence: boolean;
  /** What the connection has received, and the tabs were given. */
  at?: Position | undefined;
  /** A replay is under way, up to here. */
  until?: Position | undefined;
  /** This connection has replayed everything after here. */
  replayedFrom?: Position | undefined;
  /** The answer that other tabs wait for. */
  asking?: Promise<unknown> | undefined;
}

/** @internal */
interface SharedTopicsDependencies {
  readonly request: <Answer>(command: string, body: object) => Promise<Answer>;
  /** Runs after a delay, if there is a connection then. */
  readonly later: (run: () => void, delayMs: number) => void;
}

/** Positions of more topics than this are not sent with the handshake. */
const handshakeTopicsMax = 500;
/** As many as the service takes in one `unsubscribe`. */
const topicsPerCommand = 100;
const retryMs = 500;

/**
 * The topics of all tabs on one connection: each is subscribed once, as long as a tab follows it. A tab that comes later is
 * told where the connection is; what it lacks it reads from the history.
 */
export class SharedTopics {
  private readonly entries = new Map<string, Entry>();
  private readonly tabs = new Map<string, Map<string, Interest>>();

  constructor(private readonly dependencies: SharedTopicsDependencies) {}

  /** A tab comes, and says where it is. Before there is a connection, this decides where it begins. */
  add(tab: string, positions: Positions, isConnected: boolean): void {
    const interests = new Map<string, Interest>();
    this.tabs.set(tab, interests);
    if (isConnected) return;
    for (const [topic, position] of Object.entries(positions)) {
      interests.set(topic, { presence: false, kept: true });
      const entry = this.entry(topic);
      if (!entry.at || position.sequence < entry.at.sequence) entry.at = position;
    }
  }

  removeTab(tab: string): void {
    const interests = this.tabs.get(tab);
    if (!interests) return;
    this.unsubscribe(tab, [...interests.keys()]);
    this.tabs.delete(tab);
  }

  /** For the handshake; undefined: too many, the tabs subscribe again. */
  positions(): Positions | undefined {
    const known = [...this.entries].filter(([, { at }]) => at);
    if (known.length > handshakeTopicsMax) return undefined;
    for (const [, entry] of known) entry.replayedFrom = entry.at;
    return Object.fromEntries(known.map(([topic, { at }]) => [topic, at!]));
  }

  /** The service has subscribed topics by itself, again perhaps. */
  restored(topics: readonly SubscribedTopic[] = []): void {
    for (const answer of topics) {
      const entry = this.entries.get(answer.topic);
      if (!entry) this.leave([answer.topic]);
      else if (entry.state === 'none') this.joined(entry, answer, entry.replayedFrom);
    }
  }

  disconnected(): void {
    for (const entry of this.entries.values())
      Object.assign(entry, {
        state: 'none',
        presence: false,
        until: undefined,
        replayedFrom: undefined,
        asking: undefined,
      });
    for (const interests of this.tabs.values()) for (const one of interests.values()) one.kept = true;
  }

  /** Ends what no tab has asked for again on this connection. */
  dropUnclaimed(): void {
    for (const [tab, interests] of this.tabs)
      this.unsubscribe(
        tab,
        [...interests].filter(([, { kept }]) => kept).map(([topic]) => topic),
      );
  }

  async subscribe(
    tab: string,
    { topics, since: positions = {}, presence = false }: SubscribeBody,
  ): Promise<SubscribeAnswer> {
    // A topic may be called like a member of every object.
    const since = new Map(Object.entries(positions));
    const interests = this.tabs.get(tab);
    if (!interests) throw new ClientError('not_connected', 'this tab is not known');
    const wereKept = new Set(topics.filter((topic) => interests.get(topic)?.kept === true));
    for (const topic of topics)
      interests.set(topic, { presence: presence || interests.get(topic)?.presence === true, kept: false });
    const rejected: RejectedTopic[] = [];
    // A topic is asked for once at a time.
    while (topics.some((topic) => this.entries.get(topic)?.asking !== undefined))
      await Promise.all(topics.map((topic) => this.entries.get(topic)?.asking));
    if (this.tabs.get(tab) !== interests) throw new ClientError('not_connected', 'this tab is not known');
    const asked = topics.filter((topic) => interests.has(topic) && this.isOpen(this.entry(topic), presence));
    /** Answers for this tab alone: it was the one that asked. */
    const own = new Map<string, SubscribedTopic>();
    if (asked.length > 0) {
      const answer = await this.ask(asked, since, presence);
      for (const one of answer.topics) own.set(one.topic, one);
      rejected.push(...(answer.rejected ?? []));
      // Without the right to presence events, a topic stays as it is.
      for (const { topic } of rejected)
        if (this.entries.get(topic)?.state !== 'joined') this.forget(tab, topic);
    }
    const joined: SubscribedTopic[] = [];
    for (const topic of topics) {
      const entry = this.entries.get(topic);
      if (rejected.some((one) => one.topic === topic)) continue;
      const answer = own.get(topic);
      if (answer !== undefined && interests.has(topic)) joined.push(answer);
      else if (entry?.state === 'joined')
        joined.push(this.answerOf(topic, entry, since.get(topic), wereKept.has(topic)));
      else
        rejected.push({
          topic,
          error: { code: 'conflict', message: 'the subscription has ended meanwhile' },
        });
    }
    return { topics: joined, rejected };
  }

  unsubscribe(tab: string, topics: readonly string[]): { readonly topics: readonly string[] } {
    const ended: string[] = [];
    for (const topic of topics) {
      const { state } = this.entries.get(topic) ?? { state: 'none' };
      if (this.forget(tab, topic) && state !== 'none') ended.push(topic);
    }
    this.leave(ended);
    return { topics };
  }

  /** Moves a topic on. Returns the tabs that follow it. */
  received(topic: string, { epoch, sequence }: Position, isGap = false): string[] {
    const entry = this.entries.get(topic);
    if (entry !== undefined) {
      entry.at = { epoch, sequence };
      const { until } = entry;
      if (isGap || until === undefined || (until.epoch === epoch && until.sequence <= sequence))
        entry.until = undefined;
    }
    return this.followers(topic);
  }

  followers(topic: string, withPresence = false): string[] {
    return [...this.tabs]
      .filter(([, interests]) => {
        const interest = interests.get(topic);
        return interest !== undefined && (!withPresence || interest.presence);
      })
      .map(([tab]) => tab);
  }

  /** The service has ended subscriptions. Returns the tabs that had them, each with its topics. */
  ended(topics: readonly string[]): Map<string, string[]> {
    const byTab = new Map<string, string[]>();
    for (const [tab, interests] of this.tabs) {
      const own = topics.filter((topic) => interests.delete(topic));
      if (own.length > 0) byTab.set(tab, own);
    }
    for (const topic of topics) this.entries.delete(topic);
    return byTab;
  }

  private entry(topic: string): Entry {
    let entry = this.entries.get(topic);
    if (!entry) {
      entry = { state: 'none', presence: false };
      this.entries.set(topic, entry);
    }
    return entry;
  }

  /** Whether the service has to be asked. */
  private isOpen({ state, presence }: Entry, withPresence: boolean): boolean {
    return state !== 'joined' || (withPresence && !presence);
  }

  private async ask(
    topics: readonly string[],
    since: ReadonlyMap<string, Position>,
    presence: boolean,
  ): Promise<SubscribeAnswer> {
    const entries = topics.map((topic) => this.entry(topic));
    const from: Record<string, Position> = {};
    for (const [i, topic] of topics.entries()) {
      const entry = entries[i]!;
      // A topic that is subscribed already, and gets presence events now, goes on where it is.
      const begin = entry.state === 'joined' ? entry.at : since.get(topic);
      if (begin) from[topic] = begin;
      if (entry.state === 'none') {
        entry.state = 'asked';
        entry.at = undefined;
      }
    }
    const wasJoined = new Set(topics.filter((_, i) => entries[i]!.state === 'joined'));
    const request = this.dependencies.request<SubscribeAnswer>('subscribe', {
      topics,
      since: from,
      presence,
    });
    const settled = request.then(
      ({ topics: joined }) => {
        for (const answer of joined) {
          const entry = entries[topics.indexOf(answer.topic)];
          // Another one: meanwhile no tab follows the topic, or the connection is another.
          if (entry === undefined || this.entries.get(answer.topic) !== entry) continue;
          if (entry.state === 'asked') this.joined(entry, answer, from[answer.topic]);
          if (entry.state === 'joined') entry.presence ||= presence;
        }
      },
      () => {},
    );
    for (const entry of entries) entry.asking = settled;
    try {
      const answer = await request;
      await settled;
      return { ...answer, topics: answer.topics.filter(({ topic }) => !wasJoined.has(topic)) };
    } finally {
      for (const entry of entries) {
        if (entry.asking === settled) entry.asking = undefined;
        if (entry.state === 'asked') entry.state = 'none';
      }
    }
  }

  private joined(
    entry: Entry,
    { epoch, sequence, recovered }: SubscribedTopic,
    from: Position | undefined,
  ): void {
    const end = { epoch, sequence };
    entry.state = 'joined';
    // What was replayed before this answer has moved the topic already.
    if (recovered !== true || from === undefined) entry.at = end;
    else entry.at ??= from;
    const { at } = entry;
    entry.until = at.epoch === epoch && at.sequence >= sequence ? undefined : end;
    entry.replayedFrom = recovered === true ? from : undefined;
  }

  private answerOf(
    topic: string,
    entry: Entry,
    since: Position | undefined,
    wasKept: boolean,
  ): SubscribedTopic {
    const { until, at, replayedFrom } = entry;
    const end = until ?? at!;
    const isReplayed =
      wasKept &&
      since !== undefined &&
      since.epoch === replayedFrom?.epoch &&
      since.sequence >= replayedFrom.sequence &&
      (since.epoch !== end.epoch || since.sequence <= end.sequence);
    return { topic, ...end, recovered: isReplayed };
  }

  /** A tab does not follow a topic any more. Returns whether it was the last one. */
  private forget(tab: string, topic: string): boolean {
    if (this.tabs.get(tab)?.delete(topic) !== true || this.followers(topic).length > 0) return false;
    this.entries.delete(topic);
    return true;
  }

  private leave(topics: string[]): void {
    const { request, later } = this.dependencies;
    while (topics.length > 0) {
      const some = topics.splice(0, topicsPerCommand);
      request('unsubscribe', { topics: some }).catch(({ retryable, retryAfterMs = retryMs }: ClientError) => {
        if (retryable)
          later(() => this.leave(some.filter((topic) => !this.entries.has(topic))), retryAfterMs);
      });
    }
  }
}
