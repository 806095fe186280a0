/** Fields of a log line besides `level`, `target` and `message`; in snake_case, as written. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * A logger of one target (`realtime_communication::routing`); the implementation is pino, see `logger.ts`.
 */
export interface Log {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether lines of this level are written. Avoids the cost of fields on hot paths. */
  enabled(level: 'trace' | 'debug'): boolean;
}

/** Makes the logger of a module: `log('routing')` has the target `realtime_communication::routing`. */
export type LogFactory = (module: string) => Log;

/** A log that writes nothing, for tests and embedding. */
export const silentLog: Log = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  enabled: () => false,
};
