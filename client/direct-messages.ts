import type { Message } from '../shared/message.js';
import type { ClientState } from './client-state.js';
import type { Emitter } from './emitter.js';

/** A message to a user, from the inbox. */
export type DirectMessage<Payload = unknown> = Omit<Message, 'topic' | 'payload'> & {
  readonly payload: Payload;
};

/** @internal */
interface Waiting {
  readonly message: DirectMessage;
  readonly ack: (() => void) | undefined;
}

/** More than these wait in the inbox instead: the service sends them with the next connection, which is made when these are handled. */
const waitingMax = 1000;

/** The inbox, handed over in order, each message once. It is acknowledged when its listeners have returned. */
export class DirectMessages {
  private unhandled: Waiting[] = [];
  private isBusy = false;
  private isFull = false;

  constructor(
    private readonly events: Pick<Emitter<{ direct: DirectMessage }>, 'hears' | 'fire'>,
    private readonly saved: ClientState,
    /** Asks for what had no room. */
    private readonly renew: () => void,
  ) {}

  received(message: DirectMessage, ack: (() => void) | undefined): void {
    // The order is kept: after one that has no room, none is taken.
    this.isFull ||= this.unhandled.length >= waitingMax;
    if (!this.isFull) this.unhandled.push({ message, ack });
    void this.pump();
  }

  /** What is not handed over yet comes again. */
  disconnected(): void {
    this.unhandled = [];
    this.isFull = false;
  }

  async pump(): Promise<void> {
    const { saved, events } = this;
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.unhandled.length > 0 && events.hears('direct')) {
      const { message, ack } = this.unhandled.shift()!;
      const { epoch, sequence } = message;
      // The last one that was handed over, also by an earlier page.
      const { direct } = saved.content;
      if (direct?.epoch !== epoch || sequence > direct.sequence) {
        const pending = events.fire('direct', message);
        if (pending) await pending;
        saved.content.direct = { epoch, sequence };
        saved.save();
      }
      ack?.();
    }
    this.isBusy = false;
    if (this.isFull && !this.unhandled[0]) this.renew();
  }
}
