import type { Log } from '../logging/log.js';
import type { Clock } from '../primitives/clock.js';
import { systemClock } from '../primitives/clock.js';

/** Exit codes: a failed start, such as a port in use; invalid settings; an end by force. */
export const exitCodes = { start: 1, settings: 2, forced: 3 } as const;

interface ProcessEndDependencies {
  readonly service: {
    stop(options: { readonly drain: true }): Promise<{ readonly unfinished: readonly string[] }>;
  };
  /** What is said of an end by force: how far the drain was. */
  readonly progress?: () => object;
  readonly log: Log;
  /** Writes the last lines of the log. Resolves also if its reader is stalled. */
  readonly flush: () => Promise<void>;
  readonly exit: (code: number) => void;
  readonly clock?: Clock;
}

/**
 * Some senders signal twice: npm and the terminal, `timeout`. Another signal within this time, in milliseconds, is the same request; a later
 * one is of somebody who does not want to wait.
 */
const sameRequestMs = 1000;

/** Share of the time limit after which the end is by force. The rest is for the last lines of the log. */
const forceShare = 0.95;

/**
 * Ends the process on signals, or when an operator asks for it: in order, and by force after a time limit or another signal. The first
 * signal after a request of an operator is no other signal.
 */
export class ProcessEnd {
  private isStarted = false;
  private signalledAt: number | undefined;
  private isForced = false;

  constructor(
    private readonly dependencies: ProcessEndDependencies,
    private readonly settings: { readonly limitMs: number },
  ) {}

  get isStopping(): boolean {
    return this.isStarted;
  }

  stop(signal: string): void {
    const { log, clock = systemClock } = this.dependencies;
    if (this.signalledAt !== undefined) {
      if (clock.now() - this.signalledAt >= sameRequestMs) this.force({ signal });
      return;
    }
    this.signalledAt = clock.now();
    log.info('Stopping', { signal, limit_ms: this.settings.limitMs });
    this.start();
  }

  /** An operator drains this replica. */
  drainRequested(): void {
    this.dependencies.log.info('Stopping', { by: 'operator', limit_ms: this.settings.limitMs });
    this.start();
  }

  private start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    const { service, clock = systemClock } = this.dependencies;
    // It keeps the process alive: a stop that waits for nothing that Node knows would end with exit code 0.
    const { limitMs } = this.settings;
    clock.setTimeout(() => this.force({ limit_ms: limitMs }), limitMs * forceShare);
    service.stop({ drain: true }).then(
      ({ unfinished }) => this.exit(unfinished.length === 0 ? 0 : exitCodes.forced),
      (error: unknown) => this.force({ error }),
    );
  }

  private force(reason: object): void {
    if (this.isForced) return;
    this.isForced = true;
    const { log, progress, clock = systemClock } = this.dependencies;
    log.error('Ended by force', { ...reason, ...progress?.() });
    clock.setTimeout(
      () => this.dependencies.exit(exitCodes.forced),
      this.settings.limitMs * (1 - forceShare),
    );
    void this.exit(exitCodes.forced);
  }

  private async exit(code: number): Promise<void> {
    const { flush, exit } = this.dependencies;
    await flush().catch(() => {});
    exit(this.isForced ? exitCodes.forced : code);
  }
}
