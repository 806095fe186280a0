import { RefusalError } from './errors.js';

/** Longest topic name, in characters. */
export const topicNameLimit = 200;

/** Names that begin with this belong to the service. */
const servicePrefix = '$';
const allowed = /^[A-Za-z0-9_.:/@+=~-]+$/;
/**
 * Positions are sent and stored as an object by topic, and JavaScript objects cannot hold the key `__proto__`. A part of an address cannot be `.`
 * or `..`, also when it is encoded: operators could not reach such a topic, and would reach another address instead.
 */
const reserved: readonly string[] = ['__proto__', '.', '..'];
/** The rule of {@link readTopicName} as a regular expression, for descriptions of the API. It is matched together with the length. */
export const topicNamePattern = `^(?!(?:__proto__|\\.{1,2})$)${allowed.source.slice(1)}`;

const allowedPattern = /^[A-Za-z0-9_.:/@+=~*-]+$/;

/**
 * Reads a topic name: 1 to 200 of the ASCII letters, digits and `_ . : / @ + = ~ -`. Names that begin with `$` belong
 * to the service and are never accepted from clients; nor are `__proto__`, `.` and `..`.
 *
 * @throws RefusalError `invalid_topic`, naming `field`.
 */
export function readTopicName(value: unknown, field: string): string {
  if (typeof value !== 'string')
    throw new RefusalError('invalid_topic', `${field} must be a string`, { field });
  if (value.length === 0 || value.length > topicNameLimit) {
    throw new RefusalError('invalid_topic', `${field} must have 1 to ${topicNameLimit} characters`, {
      field,
      limit: topicNameLimit,
      size: value.length,
    });
  }
  if (value.startsWith(servicePrefix)) {
    throw new RefusalError(
      'invalid_topic',
      `${field} must not begin with ${servicePrefix}: such names are reserved for the service`,
      { field },
    );
  }
  if (!allowed.test(value)) {
    throw new RefusalError(
      'invalid_topic',
      `${field} may hold only ASCII letters, digits and _ . : / @ + = ~ -`,
      { field },
    );
  }
  if (reserved.includes(value)) {
    throw new RefusalError('invalid_topic', `${field} must not be ${value}: this name is reserved`, {
      field,
    });
  }
  return value;
}

/** The characters of a pattern as a regular expression, for descriptions of the API. */
export const topicPatternForm = allowedPattern.source;

/** True for a pattern of topic names: as a name, with `*` for any run of characters. */
export function isTopicPattern(value: string): boolean {
  return value.length > 0 && value.length <= topicNameLimit && allowedPattern.test(value);
}

/**
 * Compiles a pattern (`*` = any run of characters, also none) into a test of topic names. The test takes linear time: tokens carry
 * patterns, and as a regular expression one with many `*` can take exponential time.
 */
export function compileTopicPattern(pattern: string): (topic: string) => boolean {
  if (pattern === '*') return () => true;
  if (!pattern.includes('*')) return (topic) => topic === pattern;
  const parts = pattern.split('*');
  const first = parts[0]!;
  const last = parts.at(-1)!;
  const between = parts.slice(1, -1).filter((part) => part !== '');
  return (topic) => {
    if (topic.length < first.length + last.length || !topic.startsWith(first) || !topic.endsWith(last))
      return false;
    const end = topic.length - last.length;
    let at = first.length;
    for (const part of between) {
      const found = topic.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
