/** A transport that was over the rate in this many seconds before, none of them long ago, is closed. */
const secondsOver = 5;
/** After this many seconds within the rate, earlier ones over it are forgotten. */
const forgottenAfter = 10;

/** `over`: the rate of this second is used up. `persistent`: it was so in too many seconds. */
export type WasteOutcome = 'within' | 'over' | 'persistent';

/** Counts the packets without use of one transport, second by second. */
export class WasteRate {
  private second = -1;
  private count = 0;
  private over = 0;
  private lastOver = -Infinity;

  /** @param second of the monotonic clock */
  add(packets: number, second: number, limitPerSec: number): WasteOutcome {
    if (second !== this.second) {
      this.second = second;
      this.count = 0;
    }
    this.count += packets;
    if (this.count <= limitPerSec) return 'within';
    if (this.lastOver === second) return 'over';
    if (second - this.lastOver > forgottenAfter) this.over = 0;
    this.lastOver = second;
    return ++this.over > secondsOver ? 'persistent' : 'over';
  }
}
