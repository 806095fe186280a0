/** Time of one turn of the event loop after which further bodies wait for the next turn, in milliseconds. */
const sliceMs = 4;

/**
 * Reads large bodies in turns of the event loop: of fifty that arrive at once, those behind the first few milliseconds wait, so that everybody
 * else is served in between. They keep their order.
 */
export class BodyTurns {
  private waiting: (() => void)[] = [];
  private isBegun = false;

  run(read: () => void): void {
    this.waiting.push(read);
    if (this.isBegun) return;
    this.isBegun = true;
    setImmediate(this.next);
  }

  private readonly next = (): void => {
    const startedAt = performance.now();
    do this.waiting.shift()!();
    while (this.waiting.length > 0 && performance.now() - startedAt < sliceMs);
    if (this.waiting.length > 0) setImmediate(this.next);
    else this.isBegun = false;
  };
}
