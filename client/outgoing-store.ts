import type { OutgoingItem } from './outgoing.js';

/** Keeps what is not confirmed, over reloads. */
export interface OutgoingStore {
  load(): Promise<OutgoingItem[]>;
  /** Resolves when the item is stored. */
  put(item: OutgoingItem): Promise<void>;
  /**
   * An item is about to be sent for the first time by this page: stores `sentAt`, unless it has one. Resolves to it, in
   * milliseconds since 1970; to undefined if the item is not stored any more, because another page has it confirmed.
   */
  sending(key: string, at: number): Promise<number | undefined>;
  remove(key: string): Promise<void>;
  /** Calls back when another page has left items, until the returned function is called. */
  watch?(onLeft: () => void): () => void;
}
