import { RefusalError } from './errors.js';

/** Longest topic name, in characters. */
export const topicNameLimit = 200;

const allowed = /^[A-Za-z0-9_.:/@+=~-]+$/;
const allowedPattern = /^[A-Za-z0-9_.:/@+=~*-]+$/;

/**
 * Reads a topic name: 1 to 200 of the ASCII letters, digits and `_ . : / @ + = ~ -`. Names that begin with `$` belong
 * to the service and are never accepted from clients.
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
  if (!allowed.test(value)) {
    throw new RefusalError(
      'invalid_topic',
      `${field} may hold only ASCII letters, digits and _ . : / @ + = ~ -`,
      { field },
    );
  }
  return value;
}

/** True for a pattern of topic names: as a name, with `*` for any run of characters. */
export function isTopicPattern(value: string): boolean {
  return value.length > 0 && value.length <= topicNameLimit && allowedPattern.test(value);
}

/** Compiles a pattern (`*` = any run of characters, also none) into a test of topic names. */
export function compileTopicPattern(pattern: string): (topic: string) => boolean {
  if (pattern === '*') return () => true;
  if (!pattern.includes('*')) return (topic) => topic === pattern;
  const source = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'));
  const expression = new RegExp(`^${source.join('.*')}$`);
  return (topic) => expression.test(topic);
}
