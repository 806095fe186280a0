import type { HeldBody } from '../../limits/body-budget.js';

/** Less is not counted: nearly all messages arrive whole, and the rest of one more segment is soon there. */
const countedFrom = 4096;

/**
 * What a transport holds of messages that are not complete: of a frame that is still arriving, fragments, and binary parts whose packet waits for
 * others. It is counted in the budget of unfinished bodies, because one transport may hold a megabyte, and a client may open thousands.
 */
export class UnfinishedBytes {
  private held: HeldBody | undefined;
  /** The most since nothing was unfinished. */
  private counted = 0;
  private readonly bytes = { message: 0, parts: 0 };

  constructor(private readonly open: () => HeldBody) {}

  /** @throws RefusalError `at_capacity` */
  set(what: 'message' | 'parts', bytes: number): void {
    this.bytes[what] = bytes;
    const total = this.bytes.message + this.bytes.parts;
    if (total === 0) this.release();
    if (total < countedFrom || total <= this.counted) return;
    const more = total - this.counted;
    this.counted = total;
    (this.held ??= this.open()).add(more);
  }

  /** The transport has closed: what is unfinished is thrown away. */
  discard(): void {
    this.held?.discard();
    this.forget();
  }

  private release(): void {
    this.held?.release();
    this.forget();
  }

  private forget(): void {
    this.held = undefined;
    this.counted = 0;
  }
}
