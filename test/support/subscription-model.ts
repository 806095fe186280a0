/** What a token allows, by the roles of {@link permissionRules}. */
export type Role = 'reader' | 'live' | 'other';

/**
 * `writer` may publish everywhere, `reader` may do everything on `a.*`, `live` may only subscribe to `b.*`, `other` everything on `c.*`.
 */
export const permissionRules = [
  { role: 'writer', topics: ['*'], allow: ['publish'] },
  { role: 'reader', topics: ['a.*'], allow: ['subscribe', 'publish', 'history', 'presence'] },
  { role: 'watcher', topics: ['b.*'], allow: ['presence'] },
  { role: 'live', topics: ['b.*'], allow: ['subscribe'] },
  { role: 'other', topics: ['c.*'], allow: ['subscribe', 'publish', 'history', 'presence'] },
];

const prefixes: Readonly<Record<Role, string>> = { reader: 'a.', live: 'b.', other: 'c.' };

/** Whether the roles allow an action on a topic. */
export function allows(roles: readonly Role[], action: 'subscribe' | 'presence', topic: string): boolean {
  return roles.some(
    (role) => topic.startsWith(prefixes[role]) && (action === 'subscribe' || role !== 'live'),
  );
}

/** A topic that the hook of the tests refuses. */
export function isRefusedByHook(topic: string): boolean {
  return topic.endsWith('.no');
}

/** Outcome of one topic in the model: undefined if it is subscribed, else the code of the refusal. */
type Refusal = 'forbidden' | 'too_many_topics' | undefined;

/**
 * Rights, limit and subscriptions of one client, by rules as plain as possible. The real gate, with its hooks,
 * stores and concurrency, must come to the same result.
 */
export class SubscriptionModel {
  readonly subscribed = new Set<string>();
  readonly watched = new Set<string>();
  roles: readonly Role[];

  constructor(
    roles: readonly Role[],
    private readonly limit: number,
  ) {
    this.roles = roles;
  }

  /**
   * What a `subscribe` is answered for each topic, if nothing else is under way. A topic that the hook refuses
   * counts for the limit until then.
   */
  subscribe(topics: readonly string[], presence: boolean): Refusal[] {
    const held = new Set(this.subscribed);
    return topics.map((topic) => {
      if (!allows(this.roles, 'subscribe', topic)) return 'forbidden';
      if (presence && !allows(this.roles, 'presence', topic)) return 'forbidden';
      if (!held.has(topic) && held.size >= this.limit) return 'too_many_topics';
      held.add(topic);
      if (isRefusedByHook(topic)) return 'forbidden';
      this.accepted(topic, presence);
      return undefined;
    });
  }

  accepted(topic: string, presence: boolean): void {
    this.subscribed.add(topic);
    if (presence) this.watched.add(topic);
  }

  unsubscribe(topic: string): boolean {
    this.watched.delete(topic);
    return this.subscribed.delete(topic);
  }

  refresh(roles: readonly Role[]): void {
    this.roles = roles;
    for (const topic of this.subscribed) if (!allows(roles, 'subscribe', topic)) this.unsubscribe(topic);
    for (const topic of this.watched) if (!allows(roles, 'presence', topic)) this.watched.delete(topic);
  }

  /** A new connection resumes the session. */
  resume(roles: readonly Role[]): void {
    this.watched.clear();
    this.refresh(roles);
  }
}
