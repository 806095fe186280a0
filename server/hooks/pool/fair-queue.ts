import { Mailbox } from '../../primitives/mailbox.js';

interface Lane<Job> {
  readonly key: string;
  readonly waiting: Mailbox<Job>;
  running: number;
  /** It waits for its turn. */
  isQueued: boolean;
}

/** A job whose turn it is. */
export interface Turn<Job> {
  readonly key: string;
  readonly job: Job;
}

/**
 * Jobs of many keys. Keys take turns, jobs of one key start in their order, and no key has more than its share running: one with many or
 * slow jobs does not hold up the others.
 */
export class FairQueue<Job> {
  private readonly lanes = new Map<string, Lane<Job>>();
  private readonly turns = new Mailbox<Lane<Job>>(Infinity, 'reject');
  private waitingCount = 0;

  constructor(private readonly settings: { readonly share: number }) {}

  /** Number of jobs that wait. */
  get size(): number {
    return this.waitingCount;
  }

  add(key: string, job: Job): void {
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      lane = { key, waiting: new Mailbox<Job>(Infinity, 'reject'), running: 0, isQueued: false };
      this.lanes.set(key, lane);
    }
    lane.waiting.offer(job);
    this.waitingCount++;
    this.enqueue(lane);
  }

  /** The next job that may start; undefined if there is none. It counts as running until {@link ended}. */
  next(): Turn<Job> | undefined {
    const [lane] = this.turns.take(1);
    if (lane === undefined) return undefined;
    lane.isQueued = false;
    lane.running++;
    this.waitingCount--;
    const [job] = lane.waiting.take(1);
    this.enqueue(lane);
    return { key: lane.key, job: job! };
  }

  ended(key: string): void {
    const lane = this.lanes.get(key);
    if (lane === undefined) return;
    lane.running--;
    if (lane.running === 0 && lane.waiting.size === 0) this.lanes.delete(key);
    else this.enqueue(lane);
  }

  /** Takes all jobs that wait. */
  clear(): Job[] {
    const jobs: Job[] = [];
    for (const lane of this.lanes.values()) {
      // One by one: a call cannot have as many arguments as jobs may wait.
      for (const job of lane.waiting.take(lane.waiting.size)) jobs.push(job);
      lane.isQueued = false;
      if (lane.running === 0) this.lanes.delete(lane.key);
    }
    this.turns.take(this.turns.size);
    this.waitingCount = 0;
    return jobs;
  }

  private enqueue(lane: Lane<Job>): void {
    if (lane.isQueued || lane.waiting.size === 0 || lane.running >= this.settings.share) return;
    lane.isQueued = true;
    this.turns.offer(lane);
  }
}
