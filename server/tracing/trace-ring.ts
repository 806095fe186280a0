import type { TraceEvent } from './trace-event.js';

/** The latest events of a replica, in a ring of fixed size. */
export class TraceRing {
  private readonly events: TraceEvent[] = [];
  private next = 0;

  constructor(private readonly size: number) {}

  add(event: TraceEvent): void {
    this.events[this.next] = event;
    this.next = (this.next + 1) % this.size;
  }

  /** Events of one message, oldest first. */
  of(messageId: string): TraceEvent[] {
    return [...this.newestFirst()].filter((event) => event.message_id === messageId).reverse();
  }

  *newestFirst(): Iterable<TraceEvent> {
    const { length } = this.events;
    for (let i = 1; i <= length; i++) yield this.events[(this.next - i + length) % length]!;
  }
}
