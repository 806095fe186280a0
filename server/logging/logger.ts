import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Log, LogFields } from './log.js';
import { cleanFields, cleanText } from './log-fields.js';
import { LogFilter, logLevels, targetRoot, type LogLevel } from './log-filter.js';

export interface LoggerSettings {
  /** See {@link LogFilter}. */
  readonly level: string;
  readonly format: 'json' | 'pretty';
}

/**
 * Writes the service's log: one JSON object per line that begins with `level` (in upper case), `timestamp`,
 * `target` and `message`. Values under keys that name secrets, and all texts that look like tokens, are never
 * written.
 */
export class LoggerFactory {
  private filter: LogFilter;
  private readonly base: Logger;

  constructor(settings: LoggerSettings, destination?: DestinationStream) {
    this.filter = new LogFilter(settings.level);
    this.base = pino(
      {
        level: 'trace',
        base: null,
        messageKey: 'message',
        timestamp: () => stdTimeFunctions.isoTime().replace('"time"', '"timestamp"'),
        formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      },
      settings.format === 'pretty'
        ? prettyStream(destination)
        : (destination ?? pino.destination({ sync: false, minLength: 0 })),
    );
  }

  /** The current filter. */
  get directives(): string {
    return this.filter.text;
  }

  /** Changes the filter of all loggers at once. @throws Error as {@link LogFilter} */
  setFilter(directives: string): void {
    this.filter = new LogFilter(directives);
  }

  /** The logger of a module; its target is `realtime_communication::<module>`. */
  readonly log = (module: string): Log => {
    const target = `${targetRoot}::${module}`;
    let filter = this.filter;
    let least = filter.levelOf(target);
    const enabled = (level: LogLevel) => {
      if (filter !== this.filter) {
        filter = this.filter;
        least = filter.levelOf(target);
      }
      return logLevels[level] >= least;
    };
    const write = (level: Exclude<LogLevel, 'off'>) => (message: string, fields?: LogFields) => {
      if (enabled(level)) this.base[level]({ target, message: cleanText(message), ...cleanFields(fields) });
    };
    return {
      trace: write('trace'),
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      enabled,
    };
  };

  /** Writes all buffered lines. */
  flush(): void {
    this.base.flush();
  }
}

function prettyStream(destination: DestinationStream | undefined): DestinationStream {
  return pretty({
    messageKey: 'message',
    timestampKey: 'timestamp',
    colorize: destination === undefined && process.stdout.isTTY,
    ignore: 'target',
    messageFormat: '{target}: {message}',
    ...(destination && { destination }),
  });
}
