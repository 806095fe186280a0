import { ownText } from '../../primitives/own-text.js';

/** Ids that are remembered: past this number the oldest is forgotten. */
const limit = 10_000;

/**
 * Transports that have ended on other replicas. Their ids are signed, and whoever had one may send it again and again: only the first time their
 * replica is asked. Ids are never used twice.
 */
export class GoneTransports {
  private readonly ids = new Set<string>();

  has(id: string): boolean {
    return this.ids.has(id);
  }

  add(id: string): void {
    // It is a part of the URL of a request.
    this.ids.add(ownText(id));
    for (const oldest of this.ids) {
      if (this.ids.size <= limit) break;
      this.ids.delete(oldest);
    }
  }
}
