import { binaryPartsPerPacket } from '../protocol/binary-parts.js';
import type { LogEntry } from './broker.js';
import { isDeliverable, viewEntry } from './entry.js';

const placeholderKey = '"_placeholder"';

/**
 * Counts the messages that one Socket.IO packet can hold, so that clients' parsers accept it: few binary parts,
 * and no message that looks like the placeholder of one beside them.
 */
export class PacketMeter {
  private binaryParts = 0;
  private hasPlaceholder = false;

  /** Counts a message if the packet can hold it beside the others. An empty packet can hold any. */
  take({ entry }: LogEntry): boolean {
    const view = viewEntry(entry);
    const parts = isDeliverable(view) ? view.attachments.length : 0;
    const hasPlaceholder = parts === 0 && (this.hasPlaceholder || view.body.includes(placeholderKey));
    const binaryParts = this.binaryParts + parts;
    if (binaryParts > binaryPartsPerPacket) return false;
    if (binaryParts > 0 && (hasPlaceholder || this.hasPlaceholder)) return false;
    this.binaryParts = binaryParts;
    this.hasPlaceholder ||= hasPlaceholder;
    return true;
  }
}
