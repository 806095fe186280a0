import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { Log, LogFields } from './log.js';
import { LineLimit } from './line-limit.js';
import { cleanFields, cleanMessage } from './log-fields.js';
import { LogFilter, logLevels, targetRoot, type LogLevel } from './log-filter.js';
import { LogOutput, standardOutputSink } from './log-output.js';
import { escapeUnseen, escapeUnseenInJson } from './log-text.js';

export interface LoggerSettings {
  /** See {@link LogFilter}. */
  readonly level: string;
  readonly format: 'json' | 'pretty';
}

/**
 * Writes the service's log: one JSON object per line that begins with `level` (in upper case), `timestamp`,
 * `target` and `message`. Values under keys that name secrets, and all texts that look like tokens, are never
 * written. Nor are control characters: JSON has their escapes, and so has the pretty format.
 */
export class LoggerFactory {
  private filter: LogFilter;
  private readonly base: Logger;
  private readonly output: LogOutput | undefined;
  private readonly limit = new LineLimit({ now: () => performance.now() });
  /** What is applied to each text. */
  private readonly shown: ((text: string) => string) | undefined;

  constructor(settings: LoggerSettings, destination?: DestinationStream) {
    this.filter = new LogFilter(settings.level);
    const isPretty = settings.format === 'pretty';
    // The pretty format reads the line again, and so would show what is escaped in JSON only.
    this.shown = isPretty ? escapeUnseen : undefined;
    if (destination === undefined) {
      const onResumed = (dropped: number) => this.log('logging').warn('Log lines dropped', { dropped });
      this.output = new LogOutput({ sink: standardOutputSink(), onResumed });
    }
    const stream = destination ?? this.output!;
    this.base = pino(
      {
        level: 'trace',
        base: null,
        messageKey: 'message',
        timestamp: () => stdTimeFunctions.isoTime().replace('"time"', '"timestamp"'),
        formatters: { level: (label) => ({ level: label.toUpperCase() }) },
        hooks: { streamWrite: escapeUnseenInJson },
      },
      isPretty ? prettyStream(stream, this.output !== undefined && process.stdout.isTTY) : stream,
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
      if (!enabled(level)) return;
      const { shown } = this;
      const leftOut = level === 'warn' || level === 'error' ? this.limit.admit(message) : 0;
      if (leftOut === undefined) return;
      this.base[level]({
        target,
        message: cleanMessage(message, shown),
        ...cleanFields(fields, shown),
        ...(leftOut > 0 && { left_out: leftOut }),
      });
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

  /** Lines that were dropped because the reader of standard output was too slow, or has gone. */
  get droppedLines(): number {
    return this.output?.dropped ?? 0;
  }

  /** Resolves when all lines are written, or after the time limit: the reader may be stalled. */
  async flushed(limitMs: number): Promise<void> {
    await this.output?.flushed(limitMs);
  }
}

/** Formats each line by itself: a stream in between would buffer without a limit. */
function prettyStream(destination: DestinationStream, colorize: boolean): DestinationStream {
  const format = pretty.prettyFactory({
    messageKey: 'message',
    timestampKey: 'timestamp',
    colorize,
    ignore: 'target',
    messageFormat: '{target}: {message}',
  });
  return { write: (line) => destination.write(format(line)) };
}
