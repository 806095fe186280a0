import { cutLevel } from './cut-level.js';
import type { SessionLimits } from '../../sessions/session-store.js';

interface Holding {
  readonly userId: string;
  /** Bytes by session, the oldest first. */
  readonly sessions: Map<string, number>;
  bytes: number;
}

/** Room is made down to this share of the limit, so that it is made rarely. */
const roomyShare = 0.95;

/** The sessions whose clients are not connected, by user. */
export class LeftSessions {
  private readonly holdings = new Map<string, Holding>();
  private bytes = 0;

  add(userId: string, id: string, bytes: number): void {
    this.remove(userId, id);
    let holding = this.holdings.get(userId);
    if (holding === undefined) {
      holding = { userId, sessions: new Map(), bytes: 0 };
      this.holdings.set(userId, holding);
    }
    holding.sessions.set(id, bytes);
    holding.bytes += bytes;
    this.bytes += bytes;
  }

  remove(userId: string, id: string): void {
    const holding = this.holdings.get(userId);
    const bytes = holding?.sessions.get(id);
    if (holding === undefined || bytes === undefined) return;
    holding.sessions.delete(id);
    holding.bytes -= bytes;
    this.bytes -= bytes;
    if (holding.sessions.size === 0) this.holdings.delete(userId);
  }

  /** The ids of the last sessions of a user. */
  lastOf(userId: string, limit: number): string[] {
    return [...(this.holdings.get(userId)?.sessions.keys() ?? [])].slice(-limit);
  }

  /** Removes the oldest sessions of a user above the limits, and returns their ids. */
  dropOfUser(userId: string, { userSessions, userBytes }: SessionLimits): string[] {
    const holding = this.holdings.get(userId);
    if (holding === undefined) return [];
    return this.dropWhile(
      holding,
      () =>
        (userSessions > 0 && holding.sessions.size > userSessions) ||
        (userBytes > 0 && holding.bytes > userBytes),
    );
  }

  /** If all sessions take more than this, removes the oldest ones of the users with most, and returns their ids. */
  dropForRoom(limitBytes: number): string[] {
    if (this.bytes <= limitBytes) return [];
    const largest = [...this.holdings.values()].sort((a, b) => b.bytes - a.bytes);
    const level = cutLevel(
      largest.map(({ bytes }) => bytes),
      this.bytes - limitBytes * roomyShare,
    );
    const dropped: string[] = [];
    for (const holding of largest) {
      if (holding.bytes <= level) break;
      for (const id of this.dropWhile(holding, () => holding.bytes > level)) dropped.push(id);
    }
    return dropped;
  }

  private dropWhile(holding: Holding, isTooMuch: () => boolean): string[] {
    const dropped: string[] = [];
    for (const id of holding.sessions.keys()) {
      if (!isTooMuch()) break;
      this.remove(holding.userId, id);
      dropped.push(id);
    }
    return dropped;
  }
}
