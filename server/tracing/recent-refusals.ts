import { ownText } from '../primitives/own-text.js';
import { beginningOf } from '../protocol/name.js';

/** A command that was refused, or several alike one after the other. */
export interface Refusal {
  /** Of the last one, in milliseconds since 1970. */
  readonly at: number;
  readonly count: number;
  readonly command: string;
  readonly code: string;
  readonly topic: string | undefined;
  readonly connection_id: string;
}

interface RefusedOf {
  readonly connection: { readonly id: string; readonly identity: { readonly userId: string } };
  readonly name: string;
  readonly code: string;
  readonly request: unknown;
}

interface RecentRefusalsSettings {
  readonly users: number;
  /** Kept of one user: one who floods does not push out those of others. */
  readonly ofUser: number;
}

const settingsInUse: RecentRefusalsSettings = { users: 1000, ofUser: 20 };
/** Characters kept of a name that a client has sent. */
const nameLength = 200;

/**
 * The last refused commands of users on this replica, so that an operator sees why a client does not get on. A flood of equal
 * refusals is one entry with a count. Of more users, those who were refused the longest time ago are forgotten.
 */
export class RecentRefusals {
  private readonly users = new Map<string, Refusal[]>();
  /** The user who was refused last, and is the last one of {@link users}. */
  private newest: string | undefined;

  constructor(
    private readonly dependencies: {
      /** Milliseconds since 1970. */
      readonly now: () => number;
    },
    private readonly settings: RecentRefusalsSettings = settingsInUse,
  ) {}

  note({ connection: { id, identity }, name, code, request }: RefusedOf): void {
    const { topic } = (request ?? {}) as { readonly topic?: unknown };
    const refusal = {
      at: this.dependencies.now(),
      command: short(name),
      code,
      topic: typeof topic === 'string' ? short(topic) : undefined,
      connection_id: id,
    };
    const refusals = this.refusalsOf(identity.userId);
    const last = refusals.at(-1);
    const isSame =
      last?.code === code &&
      last.command === refusal.command &&
      last.topic === refusal.topic &&
      last.connection_id === id;
    if (isSame) refusals.pop();
    else if (refusals.length === this.settings.ofUser) refusals.shift();
    refusals.push({ ...refusal, count: isSame ? last.count + 1 : 1 });
  }

  /** Of one user, the newest first. */
  of(userId: string): readonly Refusal[] {
    return [...(this.users.get(userId) ?? [])].reverse();
  }

  /** Puts the user last: the first one is the one who was refused the longest time ago. */
  private refusalsOf(userId: string): Refusal[] {
    const refusals = this.users.get(userId) ?? [];
    // A `Map` that changes all the time keeps its former tables until a major collection: see `Registry`.
    if (this.newest === userId) return refusals;
    this.newest = userId;
    this.users.delete(userId);
    this.users.set(userId, refusals);
    if (this.users.size > this.settings.users) this.users.delete(this.users.keys().next().value!);
    return refusals;
  }
}

function short(name: string): string {
  const beginning = beginningOf(name, nameLength);
  return name.length <= nameLength ? beginning : ownText(beginning);
}
