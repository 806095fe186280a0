import type { IncomingMessage } from 'node:http';
import { toWireError, type ErrorCode } from '../../../shared/errors.js';
import type { Log } from '../../logging/log.js';

interface RefusalLogDependencies {
  readonly log: Log;
  readonly count: (code: ErrorCode) => void;
  readonly addressOf: (request: IncomingMessage) => string;
  /** Monotonic clock, in milliseconds. */
  readonly now: () => number;
}

/** Log lines per second at most: a client that retries in a loop must not fill the disk. */
const linesPerSec = 20;

/**
 * Counts refused connections and logs the reasons. Above a number of lines per second it logs only how many
 * were left out.
 */
export class RefusalLog {
  private second = -1;
  private lines = 0;
  private leftOut = 0;

  constructor(private readonly dependencies: RefusalLogDependencies) {}

  readonly note = (error: unknown, request: IncomingMessage): void => {
    const { code, message } = toWireError(error);
    this.dependencies.count(code);
    const second = Math.floor(this.dependencies.now() / 1000);
    if (second !== this.second) {
      this.second = second;
      this.lines = 0;
    }
    if (++this.lines > linesPerSec) {
      this.leftOut++;
      return;
    }
    const fields = {
      code,
      reason: message,
      address: this.dependencies.addressOf(request),
      // Without the query, which can contain a token.
      path: request.url?.split('?', 1)[0],
      ...(this.leftOut > 0 && { left_out: this.leftOut }),
    };
    this.leftOut = 0;
    const { log } = this.dependencies;
    if (code === 'shutting_down') log.info('Connection refused', fields);
    else log.error('Connection refused', fields);
  };
}
