import type { Outbox } from '../../fanout/outbox.js';

/**
 * Collects the answers of one turn, so that a connection with many running commands gets them in one write.
 */
export class ReplyWriter {
  private waiting = new Map<Outbox, string[]>();
  private scheduled = false;

  /** Queues an acknowledgement packet: `3<id>[<answer>]` in the Socket.IO protocol. */
  add(outbox: Outbox, packet: string): void {
    const packets = this.waiting.get(outbox);
    if (packets === undefined) this.waiting.set(outbox, [packet]);
    else packets.push(packet);
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.write);
  }

  private readonly write = (): void => {
    this.scheduled = false;
    const { waiting } = this;
    // The former tables of a `Map` that is emptied would keep the answers, see `Registry`.
    this.waiting = new Map();
    for (const [outbox, packets] of waiting) outbox.writeTexts(packets);
  };
}
