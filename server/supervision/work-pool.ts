import { RefusalError } from '../../shared/errors.js';
import { Mailbox } from '../primitives/mailbox.js';
import { TimeLimitError, withTimeout } from '../primitives/with-timeout.js';

interface WorkPoolSettings {
  /** Tasks that run at the same time. */
  readonly size: number;
  /** Tasks that may wait. */
  readonly capacity: number;
  /** A task that takes longer is aborted and counts as failed, unless its caller sets another limit. */
  readonly limitMs: number;
}

/** Slow work. It must end soon after the signal is aborted. */
type Task<Result> = (signal: AbortSignal) => Promise<Result>;

interface Waiting {
  readonly start: () => Promise<void>;
  readonly refuse: (error: RefusalError) => void;
}

/**
 * Runs slow work (webhooks, backups) a few tasks at a time, so that it does not slow down the hot path.
 * Further tasks wait in a bounded queue.
 */
export class WorkPool {
  failures = 0;
  private readonly waiting: Mailbox<Waiting>;
  private readonly aborts = new Set<AbortController>();
  private running = 0;
  private closed = false;

  constructor(private readonly settings: WorkPoolSettings) {
    this.waiting = new Mailbox(settings.capacity, 'reject');
  }

  get health(): { running: number; waiting: number; failures: number } {
    return { running: this.running, waiting: this.waiting.size, failures: this.failures };
  }

  /**
   * Runs a task when a slot is free. Rejects as the task does, with `busy` if too many tasks wait, with
   * `timeout` after the time limit.
   */
  run<Result>(task: Task<Result>, limitMs = this.settings.limitMs): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new RefusalError('shutting_down', 'the replica is shutting down'));
        return;
      }
      const start = () => this.attempt(task, limitMs).then(resolve, reject);
      const refused = this.waiting.offer({ start, refuse: reject });
      refused?.refuse(
        new RefusalError('busy', 'too much slow work is waiting', { limit: this.waiting.capacity }),
      );
      this.next();
    });
  }

  /** Aborts running tasks and refuses waiting ones. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const abort of this.aborts) abort.abort();
    for (const { refuse } of this.waiting.take(this.waiting.size))
      refuse(new RefusalError('shutting_down', 'the replica is shutting down'));
  }

  private next(): void {
    if (this.running >= this.settings.size) return;
    const [task] = this.waiting.take(1);
    if (task === undefined) return;
    this.running++;
    void task.start().finally(() => {
      this.running--;
      this.next();
    });
  }

  private async attempt<Result>(task: Task<Result>, limitMs: number): Promise<Result> {
    const abort = new AbortController();
    this.aborts.add(abort);
    try {
      return await withTimeout(task(abort.signal), limitMs);
    } catch (error) {
      this.failures++;
      if (!(error instanceof TimeLimitError)) throw error;
      abort.abort();
      throw new RefusalError('timeout', `the work was not done within ${limitMs} ms`);
    } finally {
      this.aborts.delete(abort);
    }
  }
}
