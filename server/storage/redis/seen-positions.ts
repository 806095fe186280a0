import type { Lineage } from '../../log/lineage.js';

interface Seen {
  epoch: string;
  sequence: number;
  /** The epoch before; empty if it is not known. */
  before: string;
}

/** Topics whose positions are kept. */
const topicsMax = 20_000;

/**
 * The last position of each topic that this replica has seen, in whatever way. Every append and read carries it:
 * a log that is shorter has lost messages, and must not go on under the same epoch.
 */
export class SeenPositions {
  private readonly topics = new Map<string, Seen>();

  /** Called with every position that comes from the log itself, in any order. */
  note(topic: string, epoch: string, sequence: number): void {
    const seen = this.topics.get(topic);
    if (seen === undefined) {
      this.topics.set(topic, { epoch, sequence, before: '' });
      if (this.topics.size > topicsMax) this.topics.delete(this.topics.keys().next().value!);
    } else if (seen.epoch !== epoch) {
      // Batches may come late, so the epoch that was known is not always the one before.
      seen.before = '';
      seen.epoch = epoch;
      seen.sequence = sequence;
    } else if (sequence > seen.sequence) seen.sequence = sequence;
  }

  /** The end of a log as it was read: it shows which epoch came before. */
  noteEnd(topic: string, { epoch, sequence, previous }: Lineage): void {
    this.note(topic, epoch, sequence);
    this.topics.get(topic)!.before = previous[0]?.epoch ?? '';
  }

  /** As the scripts take it, see `lua/includes/epoch.lua`. */
  of(topic: string): string {
    const seen = this.topics.get(topic);
    if (seen === undefined) return '-';
    const { epoch, sequence, before } = seen;
    return before === '' ? `${epoch}:${sequence}` : `${epoch}:${sequence},${before}`;
  }
}
