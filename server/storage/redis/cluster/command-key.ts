import type { RedisArgument } from '../redis-store.js';

/** Where the key of a command is, if not right behind its name. A channel counts as a key. */
const places: Readonly<Record<string, number>> = { EVAL: 3, EVALSHA: 3, PUBSUB: 2, XINFO: 2 };
/** Commands without a key: they go to a node, not to the cluster. */
const withoutKey = new Set(['INFO', 'TIME', 'SCAN', 'CONFIG', 'SCRIPT', 'WAIT', 'WAITAOF', 'PING']);

/** The key by which a command is sent to its node. All its keys are in the slot of this one. */
export function keyOf(args: readonly RedisArgument[]): string {
  const name = String(args[0]);
  const key = args[places[name] ?? 1];
  if (key === undefined || withoutKey.has(name)) throw new TypeError(`${name} has no key`);
  return String(key);
}
