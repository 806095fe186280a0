import type { Clock } from './clock.js';

/**
 * Runs work that may come in masses: for so long in one turn of the event loop, and the rest in later turns, in order. While there is little of
 * it, it runs at once.
 */
export class TurnSlices {
  private waiting: (() => void)[] = [];
  /** When the first work of this turn began; undefined: there was none yet. */
  private startedAt: number | undefined;

  constructor(
    private readonly dependencies: { readonly clock: Pick<Clock, 'now' | 'setImmediate'> },
    private readonly settings: { readonly sliceMs: number },
  ) {}

  /** Runs it now, or in a later turn. */
  run(work: () => void): void {
    if (this.startedAt === undefined) this.begin();
    if (this.waiting.length > 0 || this.isUsedUp()) this.waiting.push(work);
    else work();
  }

  private begin(): void {
    this.startedAt = this.dependencies.clock.now();
    this.dependencies.clock.setImmediate(this.next);
  }

  private isUsedUp(): boolean {
    return this.dependencies.clock.now() - this.startedAt! >= this.settings.sliceMs;
  }

  private readonly next = (): void => {
    this.startedAt = undefined;
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.begin();
    let count = 0;
    try {
      while (count < waiting.length && !this.isUsedUp()) waiting[count++]!();
    } finally {
      // What a work adds meanwhile is behind those that wait.
      this.waiting = waiting.slice(count);
    }
  };
}
