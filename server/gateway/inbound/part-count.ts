/** Binary parts that a packet of Socket.IO still waits for. */
export class PartCount {
  /** @param since when the packet came, on the monotonic clock */
  constructor(
    public left: number,
    public bytes: number,
    readonly since: number,
  ) {}

  add(bytes: number): void {
    this.left--;
    this.bytes += bytes;
  }
}
