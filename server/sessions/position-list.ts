import type { Position } from '../../shared/position.js';
import type { ProvedPosition } from '../topics/start-position.js';

/**
 * Positions by topic, in a flat list: there are many connections, and most have few topics. (An empty `Map`
 * costs about 200 bytes.)
 */
export class PositionList {
  private topics: string[] = [];
  private positions: ProvedPosition[] = [];

  get size(): number {
    return this.topics.length;
  }

  *entries(): Iterable<[topic: string, position: ProvedPosition]> {
    for (let i = 0; i < this.topics.length; i++) yield [this.topics[i]!, this.positions[i]!];
  }

  get(topic: string): ProvedPosition | undefined {
    const at = this.topics.indexOf(topic);
    return at < 0 ? undefined : this.positions[at];
  }

  has(topic: string): boolean {
    return this.topics.includes(topic);
  }

  set(topic: string, { epoch, sequence, reached }: ProvedPosition): void {
    // A position of its own: what is given may be an answer, with more fields.
    const position: ProvedPosition =
      reached === undefined ? { epoch, sequence } : { epoch, sequence, reached };
    const at = this.topics.indexOf(topic);
    if (at >= 0) this.positions[at] = position;
    else {
      // Not by `push`, after which a list keeps room for 17 items.
      this.topics = this.topics.concat(topic);
      this.positions = this.positions.concat(position);
    }
  }

  /** True if the topic was in the list. */
  delete(topic: string): boolean {
    const at = this.topics.indexOf(topic);
    if (at < 0) return false;
    this.topics = this.topics.filter((_, i) => i !== at);
    this.positions = this.positions.filter((_, i) => i !== at);
    return true;
  }

  /** Moves known topics to these positions. Returns whether any has moved, and whether one has moved to another epoch. */
  advance(to: ReadonlyMap<string, Position>): { hasMoved: boolean; hasNewEpoch: boolean } {
    let hasMoved = false;
    let hasNewEpoch = false;
    this.topics.forEach((topic, i) => {
      const position = to.get(topic);
      const before = this.positions[i]!;
      if (position === undefined || isSame(position, before)) return;
      this.positions[i] = position;
      hasMoved = true;
      hasNewEpoch ||= position.epoch !== before.epoch;
    });
    return { hasMoved, hasNewEpoch };
  }

  isSame(other: ReadonlyMap<string, Position>): boolean {
    return (
      other.size === this.size &&
      this.topics.every((topic, i) => isSame(other.get(topic), this.positions[i]!))
    );
  }
}

/** What a client may have received further on is not proved by the position before it. */
function isSame(a: Position | undefined, b: ProvedPosition): boolean {
  return a !== undefined && b.reached === undefined && a.epoch === b.epoch && a.sequence === b.sequence;
}
