/** What somebody has sent, or a topic has received, in a window. */
export interface TalkerCounts {
  commands: number;
  messages: number;
  /** Of payloads. */
  bytes: number;
  refused: number;
}

/** By whom, or where to. */
export const talkerKinds = ['user', 'connection', 'topic'] as const;

export type TalkerKind = (typeof talkerKinds)[number];

/** One of those with the most, in rates per second. */
export interface Talker {
  readonly name: string;
  /** Of a connection. */
  readonly user_id?: string;
  readonly commands_per_sec: number;
  readonly messages_per_sec: number;
  readonly bytes_per_sec: number;
  readonly refused_per_sec: number;
}

interface Sender {
  readonly id: string;
  readonly identity: { readonly userId: string };
}

/** The counts of a user, a connection or a topic: one form for all, which makes counting fast. */
class Counts implements TalkerCounts {
  commands = 0;
  messages = 0;
  bytes = 0;
  refused = 0;

  constructor(
    /** Of a connection. */
    readonly userId?: string,
    /** The counts of the user of a connection; undefined if there was no room for the user. */
    readonly user?: Counts,
  ) {}
}

interface Window {
  readonly startedAt: number;
  readonly users: Map<string, Counts>;
  readonly connections: Map<string, Counts>;
  readonly topics: Map<string, Counts>;
}

interface TalkersDependencies {
  /** Never goes back: `performance.now`. */
  readonly now: () => number;
}

interface TalkersSettings {
  readonly windowMs: number;
  /** Names counted in a window, of each kind. */
  readonly names: number;
}

/** The id of all callers over HTTP, which have no connection. */
const httpCaller = 'http';
const settingsInUse: TalkersSettings = { windowMs: 1000, names: 5000 };

/**
 * Counts who sends, in windows of a second. A command costs one or two look-ups in a map. Of each kind the first names of a window
 * are counted: whoever sends a lot is among them.
 */
export class Talkers {
  private current: Window;
  private last: Window | undefined;
  /** The sender that was looked up last. */
  private latest: Sender | undefined;
  private latestCounts: Counts | undefined;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly dependencies: TalkersDependencies,
    private readonly settings: TalkersSettings = settingsInUse,
  ) {
    this.current = newWindow(dependencies.now());
    this.timer = setInterval(() => this.turn(), settings.windowMs);
    this.timer.unref();
  }

  /** A command was received. */
  command(sender: Sender): void {
    const own = this.countsOf(sender);
    if (own === undefined) return;
    own.commands++;
    if (own.user !== undefined) own.user.commands++;
  }

  /** A payload was accepted. */
  message(sender: Sender, bytes: number): void {
    const own = this.countsOf(sender);
    if (own === undefined) return;
    own.messages++;
    own.bytes += bytes;
    const { user } = own;
    if (user === undefined) return;
    user.messages++;
    user.bytes += bytes;
  }

  /** A message was passed to the log of a topic. */
  published(topic: string, bytes: number): void {
    const counts = entry(this.current.topics, topic, this.settings.names, newCounts);
    if (counts === undefined) return;
    counts.messages++;
    counts.commands++;
    counts.bytes += bytes;
  }

  /** A command was refused. */
  refused(sender: Sender, topic: unknown): void {
    const own = this.countsOf(sender);
    if (own !== undefined) {
      own.refused++;
      if (own.user !== undefined) own.user.refused++;
    }
    // What is refused may name any topic.
    const counts = typeof topic === 'string' ? this.current.topics.get(topic) : undefined;
    if (counts !== undefined) counts.refused++;
  }

  /** Those with the most, of the last one or two seconds; with a name, that one alone. */
  top(kind: TalkerKind, by: keyof TalkerCounts, limit: number, only?: string): Talker[] {
    const now = this.dependencies.now();
    const windows = this.last === undefined ? [this.current] : [this.last, this.current];
    // A window that has just begun says little.
    const seconds = Math.max(this.settings.windowMs, now - windows[0]!.startedAt) / 1000;
    const sums = new Map<string, TalkerCounts & { readonly userId: string | undefined }>();
    for (const window of windows)
      for (const [name, counts] of namedIn(mapOf(window, kind), only)) {
        const { commands, messages, bytes, refused } = sums.get(name) ?? new Counts();
        sums.set(name, {
          userId: counts.userId,
          commands: commands + counts.commands,
          messages: messages + counts.messages,
          bytes: bytes + counts.bytes,
          refused: refused + counts.refused,
        });
      }
    return [...sums]
      .filter(([, counts]) => only !== undefined || counts[by] > 0)
      .sort(([, one], [, other]) => other[by] - one[by])
      .slice(0, limit)
      .map(([name, { userId, ...counts }]) => ({
        name,
        ...(userId !== undefined && { user_id: userId }),
        commands_per_sec: rate(counts.commands, seconds),
        messages_per_sec: rate(counts.messages, seconds),
        bytes_per_sec: rate(counts.bytes, seconds),
        refused_per_sec: rate(counts.refused, seconds),
      }));
  }

  close(): void {
    clearInterval(this.timer);
  }

  private turn(): void {
    this.last = this.current;
    this.current = newWindow(this.dependencies.now());
    this.latest = undefined;
  }

  /** The counts of a connection, or of the user of a request over HTTP. A payload follows its command in the same turn. */
  private countsOf(sender: Sender): Counts | undefined {
    if (sender === this.latest) return this.latestCounts;
    this.latestCounts = this.lookUp(sender);
    this.latest = sender;
    return this.latestCounts;
  }

  private lookUp({ id, identity: { userId } }: Sender): Counts | undefined {
    const { users, connections } = this.current;
    const { names } = this.settings;
    if (id === httpCaller) return entry(users, userId, names, newCounts);
    const known = connections.get(id);
    if (known !== undefined) return known;
    const user = entry(users, userId, names, newCounts);
    return connections.size >= names ? user : entry(connections, id, names, () => new Counts(userId, user));
  }
}

function entry(
  map: Map<string, Counts>,
  name: string,
  limit: number,
  make: () => Counts,
): Counts | undefined {
  let counts = map.get(name);
  if (counts === undefined && map.size < limit) {
    counts = make();
    map.set(name, counts);
  }
  return counts;
}

function mapOf({ users, connections, topics }: Window, kind: TalkerKind): ReadonlyMap<string, Counts> {
  return kind === 'user' ? users : kind === 'connection' ? connections : topics;
}

/** All entries, or that of one name. */
function namedIn(map: ReadonlyMap<string, Counts>, only: string | undefined): Iterable<[string, Counts]> {
  if (only === undefined) return map;
  const counts = map.get(only);
  return counts === undefined ? [] : [[only, counts]];
}

function newWindow(startedAt: number): Window {
  return { startedAt, users: new Map(), connections: new Map(), topics: new Map() };
}

function newCounts(): Counts {
  return new Counts();
}

function rate(count: number, seconds: number): number {
  return Number((count / seconds).toFixed(1));
}
