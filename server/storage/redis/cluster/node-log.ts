import type { Log, LogFields } from '../../../logging/log.js';

/** A log whose lines name the node of the Redis Cluster that they are about. */
export function nodeLog(log: Log, node: string): Log {
  const named = (fields: LogFields = {}): LogFields => ({ node, ...fields });
  return {
    trace: (message, fields) => log.trace(message, named(fields)),
    debug: (message, fields) => log.debug(message, named(fields)),
    info: (message, fields) => log.info(message, named(fields)),
    warn: (message, fields) => log.warn(message, named(fields)),
    error: (message, fields) => log.error(message, named(fields)),
    enabled: (level) => log.enabled(level),
  };
}
