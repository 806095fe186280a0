import cluster from 'node:cluster';
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { pino, type DestinationStream } from 'pino';

/** Where lines go. */
interface Sink {
  write(line: string): void;
  /** Bytes that wait for the reader. */
  readonly waitingBytes: number;
  /** The reader has gone. */
  readonly isBroken: boolean;
}

/** Bytes of log that may wait for a slow reader; further lines are dropped. */
const waitingLimitBytes = 8_388_608;
const standardOutput = 1;
const pollMs = 10;

/**
 * Standard output, for the log. A reader that is slow, stalled or gone cannot stop the service: lines beyond a limit are dropped,
 * and their number is written when there is space again.
 */
export class LogOutput implements DestinationStream {
  /** Lines that were not written. */
  dropped = 0;
  private reported = 0;

  constructor(
    private readonly dependencies: {
      readonly sink: Sink;
      /** Called before the next line, with the number of lines that were dropped before it. */
      readonly onResumed: (dropped: number) => void;
    },
    private readonly settings: { readonly limitBytes: number } = { limitBytes: waitingLimitBytes },
  ) {}

  write(line: string): void {
    const { sink, onResumed } = this.dependencies;
    if (sink.isBroken || sink.waitingBytes >= this.settings.limitBytes) {
      this.dropped++;
      return;
    }
    const lost = this.dropped - this.reported;
    this.reported = this.dropped;
    if (lost > 0) onResumed(lost);
    sink.write(line);
  }

  /** Resolves when every line has been read, when that is impossible, or after the time limit. */
  async flushed(limitMs: number): Promise<void> {
    const { sink } = this.dependencies;
    const end = performance.now() + limitMs;
    while (!sink.isBroken && sink.waitingBytes > 0 && performance.now() < end) await delay(pollMs);
  }
}

/**
 * Process managers may collect what is written to the stream: PM2 in cluster mode puts its own function in the place of
 * `process.stdout.write`, and its log files are behind that, not behind descriptor 1.
 *
 * Node writes to pipes and sockets without blocking. Writes to files are done by another thread, which could not be ended while a
 * pipe blocks it: `process.exit` would wait for it.
 */
export function standardOutputSink(): Sink {
  const isCollected = cluster.isWorker || Object.hasOwn(process.stdout, 'write');
  const kind = fstatSync(standardOutput);
  return isCollected || kind.isFIFO() || kind.isSocket() ? streamSink(process.stdout) : fileSink();
}

function streamSink(stream: Writable): Sink {
  let isBroken = false;
  // What a process manager put in the place of `write` does not use the stream's buffer: so the bytes are counted, as
  // soon as it is known to call back.
  let waitingBytes = 0;
  let callsBack = false;
  // Without a listener, the error of a reader that has gone would end the process. Several logs may share the stream.
  if (stream.listenerCount('error') === 0) stream.on('error', () => {});
  return {
    write: (line) => {
      const bytes = Buffer.byteLength(line);
      waitingBytes += bytes;
      // With the encoding, because PM2 calls back only if it is given.
      stream.write(line, 'utf8', (error) => {
        callsBack = true;
        waitingBytes -= bytes;
        if (error instanceof Error) isBroken = true;
      });
    },
    get waitingBytes() {
      return callsBack ? waitingBytes : stream.writableLength;
    },
    get isBroken() {
      return isBroken;
    },
  };
}

/** For files and terminals. A full disk may have space again, so no error is final. */
function fileSink(): Sink {
  let waitingBytes = 0;
  const file = pino.destination({ dest: standardOutput, sync: false, minLength: 0 });
  file.on('write', (bytes: number) => (waitingBytes -= bytes));
  file.on('error', () => {});
  return {
    write: (line) => {
      waitingBytes += Buffer.byteLength(line);
      file.write(line);
    },
    get waitingBytes() {
      return waitingBytes;
    },
    isBroken: false,
  };
}
