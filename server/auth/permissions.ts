import { RefusalError } from '../../shared/errors.js';
import { compileTopicPattern } from '../../shared/topic-name.js';
import type { Action, Identity } from '../protocol/identity.js';

/** Allows the actions on the topics to all users with the role; role `*` is every user. */
interface PermissionRule {
  readonly role: string;
  readonly topics: readonly string[];
  readonly allow: readonly Action[];
}

type Matcher = (topic: string) => boolean;

const never: Matcher = () => false;

/** Number of role sets whose compiled rules are kept. */
const cacheLimit = 1000;

/**
 * Checks actions on topics against the rules. Compiled rules are kept per set of roles: a check on the hot
 * path is one lookup and one match.
 */
export class Permissions {
  private readonly compiled = new Map<string, ReadonlyMap<Action, Matcher>>();
  private readonly known = new WeakMap<readonly string[], ReadonlyMap<Action, Matcher>>();
  private readonly restrictions = new WeakMap<Identity, Matcher>();

  constructor(private readonly rules: readonly PermissionRule[]) {}

  /** @throws RefusalError `forbidden` */
  check(identity: Identity, action: Action, topic: string): void {
    if (this.allows(identity, action, topic)) return;
    throw new RefusalError('forbidden', `not allowed to ${action} on ${topic}`);
  }

  allows(identity: Identity, action: Action, topic: string): boolean {
    const matcher = this.rulesOf(identity.roles).get(action) ?? never;
    // A token's topics restrict topics only; `direct` addresses users.
    if (action === 'direct') return matcher(topic);
    return matcher(topic) && (identity.topics === undefined || this.restrictionOf(identity)(topic));
  }

  private rulesOf(roles: readonly string[]): ReadonlyMap<Action, Matcher> {
    let actions = this.known.get(roles);
    if (actions !== undefined) return actions;
    // JSON is unambiguous, whatever characters the role names contain.
    const name = JSON.stringify(roles);
    actions = this.compiled.get(name);
    if (actions === undefined) {
      actions = this.compile(roles);
      if (this.compiled.size >= cacheLimit) this.compiled.clear();
      this.compiled.set(name, actions);
    }
    this.known.set(roles, actions);
    return actions;
  }

  private compile(roles: readonly string[]): ReadonlyMap<Action, Matcher> {
    const patterns = new Map<Action, string[]>();
    for (const rule of this.rules) {
      if (rule.role !== '*' && !roles.includes(rule.role)) continue;
      for (const action of rule.allow)
        patterns.set(action, [...(patterns.get(action) ?? []), ...rule.topics]);
    }
    return new Map([...patterns].map(([action, its]) => [action, anyOf(its)]));
  }

  private restrictionOf(identity: Identity): Matcher {
    let matcher = this.restrictions.get(identity);
    if (matcher === undefined) {
      matcher = anyOf(identity.topics ?? []);
      this.restrictions.set(identity, matcher);
    }
    return matcher;
  }
}

function anyOf(patterns: readonly string[]): Matcher {
  if (patterns.includes('*')) return () => true;
  const matchers = patterns.map(compileTopicPattern);
  return matchers.length === 1 ? matchers[0]! : (topic) => matchers.some((matches) => matches(topic));
}
