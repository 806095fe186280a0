import type { Clock, Timer } from '../../primitives/clock.js';
import type { DrainCounts } from './drain-counts.js';
import type { MovableClient } from './movable-client.js';

interface ClientDrainDependencies {
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
}

interface ClientDrainSettings {
  /** The clients are moved within this time; 0: all at once. */
  readonly windowMs: number;
  /** Past the window, what has not closed after this time is cut off. */
  readonly tailMs: number;
}

/** A client, and what it waits for. */
interface Move {
  readonly client: MovableClient;
  /** When its commands are refused from, and its transport closes as soon as it is served. */
  readonly dueAt: number;
  isNotified: boolean;
  /** When the present step ends at the latest. */
  limitAt: number;
}

/** Interval of the batches, in milliseconds. */
const batchMs = 50;
/** A client is notified this long before it is due, in milliseconds. */
const noticeMs = 1000;
/** What a client has under way is waited for at most this long, in milliseconds. */
const serveLimitMs = 5000;
/** After a pause of the process, clients are moved faster by this factor at most, until the plan is met again. */
const catchUpFactor = 1.5;

/**
 * Moves the clients of a replica to others, in batches that are evenly spread over a window: a share of it belongs to each client, and a
 * random moment of this share is its own. So each second of the window has about the same number of them, and they come back to the other
 * replicas at that rate.
 *
 * Each client is notified, then served to the end, then closed; what does not close in time is cut off.
 */
export class ClientDrain {
  readonly counts: DrainCounts = { moved: 0, forced: 0, remaining: 0 };
  /** By due time. Those before {@link due} have begun. */
  private readonly planned: Move[] = [];
  private due = 0;
  private notified = 0;
  private readonly serving = new Set<Move>();
  private readonly closing = new Set<Move>();
  private timer: Timer | undefined;
  private startedAt = 0;
  private batchAt = 0;
  /** Clients that may begin now. */
  private allowance = 1;
  private ratePerMs = 0;
  private finish: () => void = () => {};

  constructor(
    private readonly dependencies: ClientDrainDependencies,
    private readonly settings: ClientDrainSettings,
  ) {}

  /** Resolves when no client is left. */
  run(clients: readonly MovableClient[]): Promise<void> {
    const { clock, random } = this.dependencies;
    const { windowMs } = this.settings;
    this.startedAt = this.batchAt = clock.now();
    const shareMs = windowMs / Math.max(1, clients.length);
    if (windowMs > 0) this.ratePerMs = catchUpFactor / shareMs;
    for (const [n, client] of shuffled(clients, random).entries())
      this.planned.push(moveOf(client, this.startedAt + (n + random()) * shareMs));
    this.counts.remaining = clients.length;
    return new Promise((resolve) => {
      this.finish = resolve;
      this.timer = clock.setInterval(() => this.batch(), batchMs);
      this.batch();
    });
  }

  /** A client whose handshake was under way when the drain began. */
  add(client: MovableClient): void {
    if (this.timer === undefined) return;
    const { clock, random } = this.dependencies;
    const now = clock.now();
    const dueAt = now + random() * Math.max(0, this.startedAt + this.settings.windowMs - now);
    let at = this.planned.length;
    while (at > this.notified && at > this.due && this.planned[at - 1]!.dueAt > dueAt) at--;
    this.planned.splice(at, 0, moveOf(client, dueAt));
    this.counts.remaining++;
  }

  /** Ends the drain: the clients that remain count as forced, and are left to whoever ends it. */
  abandon(): void {
    if (this.timer === undefined) return;
    this.counts.forced += this.counts.remaining;
    this.counts.remaining = 0;
    this.end();
  }

  private batch(): void {
    const now = this.dependencies.clock.now();
    this.notifyUntil(now + noticeMs, now);
    this.beginDue(now);
    for (const move of this.serving) {
      if (move.client.isClosed) this.done(move, 'moved');
      else if (move.client.isServed || now >= move.limitAt) this.close(move, now);
    }
    for (const move of this.closing) {
      if (move.client.isClosed) this.done(move, 'moved');
      else if (now >= move.limitAt) this.cutOff(move);
    }
    if (now >= this.startedAt + this.settings.windowMs + this.settings.tailMs) this.cutOffAll();
    if (this.counts.remaining === 0) this.end();
  }

  private notifyUntil(dueBefore: number, now: number): void {
    for (; this.notified < this.planned.length; this.notified++) {
      const move = this.planned[this.notified]!;
      if (move.dueAt > dueBefore) return;
      if (move.client.isClosed) continue;
      move.isNotified = true;
      move.client.notify(Math.max(0, Math.round(move.dueAt - now)));
    }
  }

  private beginDue(now: number): void {
    const isOver = now >= this.startedAt + this.settings.windowMs;
    const gained = Math.min(now - this.batchAt, 2 * batchMs) * this.ratePerMs;
    this.batchAt = now;
    // One more, so that few clients in a long window are not late.
    this.allowance = Math.min(this.allowance + gained, 1 + 2 * batchMs * this.ratePerMs);
    for (; this.due < this.planned.length; this.due++) {
      const move = this.planned[this.due]!;
      if (move.dueAt > now || (this.allowance < 1 && !isOver)) return;
      this.allowance--;
      if (move.client.isClosed) {
        // It has left by itself, unless the notice was why.
        if (move.isNotified) this.counts.moved++;
        this.counts.remaining--;
        continue;
      }
      move.client.refuseCommands();
      move.limitAt = now + serveLimitMs;
      this.serving.add(move);
    }
  }

  private close(move: Move, now: number): void {
    this.serving.delete(move);
    this.closing.add(move);
    move.limitAt = now + move.client.closeLimitMs;
    move.client.close();
  }

  private cutOff(move: Move): void {
    move.client.cutOff();
    this.done(move, 'forced');
  }

  private cutOffAll(): void {
    for (; this.due < this.planned.length; this.due++) this.serving.add(this.planned[this.due]!);
    for (const move of [...this.serving, ...this.closing]) this.cutOff(move);
  }

  private done(move: Move, outcome: 'moved' | 'forced'): void {
    this.serving.delete(move);
    this.closing.delete(move);
    this.counts[outcome]++;
    this.counts.remaining--;
  }

  private end(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.timer = undefined;
    this.finish();
  }
}

function moveOf(client: MovableClient, dueAt: number): Move {
  return { client, dueAt, isNotified: false, limitAt: Infinity };
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
  }
  return mixed;
}
