import type { Release } from './connection-attempt.js';

/** A slot that the sockets of one user on one transport share. */
interface SharedSlot {
  readonly acquired: Promise<Release>;
  holders: number;
}

/**
 * Slots in the limit of connections of a user. A transport holds one slot for each user on it, in however many
 * namespaces its client is.
 */
export class UserSlots {
  private readonly slots = new WeakMap<object, Map<string, SharedSlot>>();

  /** @param acquireSlot acquires a slot of a user; undefined if connections of users are not limited */
  constructor(private readonly acquireSlot: (userId: string) => Promise<Release> | undefined) {}

  /** Rejects with RefusalError `at_capacity`. Undefined if connections of users are not limited. */
  readonly acquire = (transport: object, userId: string): Promise<Release> | undefined => {
    const ofTransport = this.slots.get(transport) ?? new Map<string, SharedSlot>();
    const known = ofTransport.get(userId);
    if (known !== undefined) {
      known.holders++;
      return this.shared(ofTransport, userId, known);
    }
    const acquired = this.acquireSlot(userId);
    if (acquired === undefined) return undefined;
    const slot = { acquired, holders: 1 };
    ofTransport.set(userId, slot);
    this.slots.set(transport, ofTransport);
    return this.shared(ofTransport, userId, slot);
  };

  private async shared(
    ofTransport: Map<string, SharedSlot>,
    userId: string,
    slot: SharedSlot,
  ): Promise<Release> {
    const drop = () => {
      if (ofTransport.get(userId) === slot) ofTransport.delete(userId);
    };
    let release: Release;
    try {
      release = await slot.acquired;
    } catch (error) {
      drop();
      throw error;
    }
    let released = false;
    return () => {
      if (released) return;
      released = true;
      if (--slot.holders > 0) return;
      drop();
      release();
    };
  }
}
