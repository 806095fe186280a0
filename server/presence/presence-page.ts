import type { PresencePageRequest } from './presence-reader.js';

/** Bytes of the fields of one user in an answer: `{"user_id":"","connections":1},`. */
const fieldsBytes = 40;

/** Collects the users of one page. */
export class PresencePage {
  readonly counts = new Map<string, number>();
  private bytes = 0;

  constructor(private readonly limits: PresencePageRequest) {}

  /** How many more users fit. */
  get left(): number {
    return Math.max(0, this.limits.limit - this.counts.size);
  }

  /** Whether some users fit together with those that are there. The first ones always do. */
  fits(userIds: readonly string[]): boolean {
    if (this.counts.size === 0) return true;
    return userIds.length <= this.left && this.bytes + sizeOf(userIds) <= this.limits.bytes;
  }

  add(userId: string, connections: number): void {
    this.bytes += sizeOf([userId]);
    this.counts.set(userId, connections);
  }
}

function sizeOf(userIds: readonly string[]): number {
  return userIds.reduce((sum, id) => sum + fieldsBytes + Buffer.byteLength(id), 0);
}
