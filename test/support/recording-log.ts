import type { Log, LogFields } from '../../server/logging/log.js';

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** A log of all levels, each line of which is given to a function. */
export function recordingLog(record: (level: Level, message: string, fields: LogFields) => void): Log {
  const at =
    (level: Level) =>
    (message: string, fields: LogFields = {}): void =>
      record(level, message, fields);
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    enabled: () => true,
  };
}
