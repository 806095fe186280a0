import type { Outbox } from './outbox.js';

/** Blocks that are read for one connection at the same time. */
const perConnection = 4;
/** Blocks that are read for all connections at the same time. */
const perReplica = 64;

/** Reads one block and writes it. Each reader has its own: by it the step can be cancelled. */
type Step = () => Promise<void>;

/** The topics of one connection that are to read their next block. */
interface Line {
  readonly outbox: Outbox;
  running: number;
  /** What each step does when it is its turn. */
  readonly waiting: Map<Step, () => Promise<void>>;
  /** Starts again by itself: the outbox drains, or another connection's read ends. */
  isHeld: boolean;
}

/**
 * Bounds the blocks that are read from logs at the same time, and reads none for a connection whose outbox has
 * no room. Otherwise a session with a thousand topics would have a thousand blocks in memory when it is
 * resumed.
 */
export class CatchUpTurns {
  private readonly lines = new WeakMap<Outbox, Line>();
  private readonly held: Line[] = [];
  private running = 0;

  /** Runs a step of a reader when it is its turn. */
  run(outbox: Outbox, step: Step): Promise<void> {
    let line = this.lines.get(outbox);
    if (line === undefined) {
      line = { outbox, running: 0, waiting: new Map(), isHeld: false };
      this.lines.set(outbox, line);
    }
    const { waiting } = line;
    const done = new Promise<void>((resolve, reject) => {
      waiting.set(step, () => step().then(resolve, reject));
    });
    this.start(line);
    return done;
  }

  /** A step that waits will not run: its reader has ended. A connection can begin any number of readers while it reads nothing. */
  cancel(outbox: Outbox, step: Step): void {
    this.lines.get(outbox)?.waiting.delete(step);
  }

  private start(line: Line): void {
    while (!line.isHeld && line.waiting.size > 0 && line.running < perConnection) {
      if (!line.outbox.hasRoom()) {
        line.isHeld = true;
        line.outbox.onceDrained(() => this.release(line));
        return;
      }
      if (this.running >= perReplica) {
        line.isHeld = true;
        this.held.push(line);
        return;
      }
      const [step, run] = line.waiting.entries().next().value!;
      line.waiting.delete(step);
      line.running++;
      this.running++;
      void run().finally(() => {
        line.running--;
        this.running--;
        this.releaseHeld();
        this.start(line);
      });
    }
  }

  /** Lines go on until the reads are used up: the steps of the first ones may have been cancelled. */
  private releaseHeld(): void {
    while (this.running < perReplica) {
      const next = this.held.shift();
      if (next === undefined) return;
      this.release(next);
    }
  }

  private release(line: Line): void {
    line.isHeld = false;
    this.start(line);
  }
}
