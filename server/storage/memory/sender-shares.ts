import type { InboxShares } from '../../log/broker.js';
import { senderOf } from '../../log/entry.js';

/** What each sender has in a log. */
export class SenderShares {
  private readonly senders = new Map<string, { messages: number; bytes: number }>();
  /** Of all senders. */
  bytes = 0;

  /** Adds a message; false, and nothing is added, if there is no more room for it. */
  admit(entry: Buffer, { bytes, senderMessages, senderBytes }: InboxShares): boolean {
    const sender = senderOf(entry);
    const share = this.senders.get(sender) ?? { messages: 0, bytes: 0 };
    if (share.messages >= senderMessages || share.bytes + entry.length > senderBytes) return false;
    if (this.bytes + entry.length > bytes) return false;
    this.bytes += entry.length;
    this.senders.set(sender, { messages: share.messages + 1, bytes: share.bytes + entry.length });
    return true;
  }

  remove(entry: Buffer): void {
    const sender = senderOf(entry);
    const share = this.senders.get(sender);
    if (share === undefined) return;
    this.bytes -= entry.length;
    if (share.messages === 1) this.senders.delete(sender);
    else this.senders.set(sender, { messages: share.messages - 1, bytes: share.bytes - entry.length });
  }

  clear(): void {
    this.senders.clear();
    this.bytes = 0;
  }
}
