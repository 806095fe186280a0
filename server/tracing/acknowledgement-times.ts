/** When a client has acknowledged a message. */
export interface Acknowledgement {
  readonly connectionId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Acknowledgements kept of one message. */
const messageMax = 1000;

/** When clients have acknowledged messages, as far back as there is room. */
export class AcknowledgementTimes {
  private readonly byMessage = new Map<string, Acknowledgement[]>();
  private count = 0;

  /** `limit`: of all messages. */
  constructor(private readonly limit: number) {}

  add(messageId: string, acknowledgement: Acknowledgement): void {
    let known = this.byMessage.get(messageId);
    if (known === undefined) {
      known = [];
      this.byMessage.set(messageId, known);
    }
    if (known.length >= messageMax) return;
    known.push(acknowledgement);
    this.count++;
    for (const [oldest, { length }] of this.byMessage) {
      if (this.count <= this.limit) return;
      this.byMessage.delete(oldest);
      this.count -= length;
    }
  }

  of(messageId: string): readonly Acknowledgement[] {
    return this.byMessage.get(messageId) ?? [];
  }
}
