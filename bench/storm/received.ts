/** What a client has received of one topic, whose messages are numbered without a hole. */
export class Received {
  /** Messages that were left out. */
  missing = 0;
  /** Messages that came again, or too late. */
  repeated = 0;

  /** @param last the number before the first message that the client has to receive */
  constructor(public last: number) {}

  add(n: number): void {
    if (n <= this.last) {
      this.repeated++;
      return;
    }
    this.missing += n - this.last - 1;
    this.last = n;
  }

  /** Nothing comes any more: what is not there by now, up to this number, is missing too. */
  endsAt(n: number): void {
    if (n > this.last) this.missing += n - this.last;
    this.last = Math.max(this.last, n);
  }
}
