import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';

/** A message to a user, from the inbox. */
export type DirectMessage<Payload = unknown> = Omit<Message, 'topic' | 'payload'> & {
  readonly payload: Payload;
};

interface Waiting {
  readonly message: DirectMessage;
  readonly ack: () => void;
}

interface DirectMessagesDependencies {
  /** Calls the listeners. */
  readonly handOver: (message: DirectMessage) => Promise<unknown> | undefined;
  readonly hasListener: () => boolean;
  /** The last one that was handed over, also by an earlier page. */
  readonly position: () => Position | undefined;
  readonly handled: (position: Position) => void;
}

/** More than these wait in the inbox instead: the service sends them again with the next connection. */
const waitingMax = 1000;

/** The inbox, handed over in order, each message once. It is acknowledged when its listeners have returned. */
export class DirectMessages {
  private waiting: Waiting[] = [];
  private isBusy = false;

  constructor(private readonly dependencies: DirectMessagesDependencies) {}

  received(message: DirectMessage, ack: () => void): void {
    if (this.waiting.length < waitingMax) this.waiting.push({ message, ack });
    this.pump();
  }

  /** What is not handed over yet comes again. */
  disconnected(): void {
    this.waiting = [];
  }

  pump(): void {
    const { handOver, hasListener, position, handled } = this.dependencies;
    while (!this.isBusy && this.waiting.length > 0 && hasListener()) {
      const { message, ack } = this.waiting.shift()!;
      const { epoch, sequence } = message;
      const last = position();
      if (last?.epoch === epoch && sequence <= last.sequence) {
        ack();
        continue;
      }
      const done = () => {
        handled({ epoch, sequence });
        ack();
      };
      const pending = handOver(message);
      if (pending === undefined) {
        done();
        continue;
      }
      this.isBusy = true;
      void pending.then(() => {
        done();
        this.isBusy = false;
        this.pump();
      });
    }
  }
}
