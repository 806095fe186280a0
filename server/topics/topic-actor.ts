import { RefusalError } from '../../shared/errors.js';
import { Mailbox, type MailboxOverflow } from '../actors/mailbox.js';
import type { AppendEntry, AppendReceipt, Broker } from './broker.js';

export interface TopicActorDependencies {
  readonly broker: Broker;
  /** Milliseconds between two appends at least, while publishes come fast; see {@link TopicActor.delayMs}. */
  readonly gatherMs: (topic: string) => number;
  /** Calls back when the next append may start. */
  readonly schedule: (start: () => void) => void;
}

export interface TopicActorSettings {
  readonly mailboxCapacity: number;
  readonly overflowStrategy: MailboxOverflow;
  /** Messages in one append at most. */
  readonly batchMax: number;
}

interface Waiting {
  readonly entry: AppendEntry;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** An append has this many bytes at most, unless a single message is larger. */
const batchBytesMax = 1024 * 1024;

/** The health of an actor, as `/admin/actors` shows it. */
export interface ActorHealth {
  readonly mailboxSize: number;
  readonly processingMs: number;
  readonly processed: number;
  readonly failed: number;
  readonly lastError: string | null;
}

/**
 * Serialises the publishes of one topic on this replica: one batch is in flight at a time and the next one gathers meanwhile. That
 * keeps each publisher's order and raises the throughput under load.
 */
export class TopicActor {
  private readonly mailbox: Mailbox<Waiting>;
  private inFlight = false;
  private scheduled = false;
  private startedMs = -Infinity;
  private processingMs = 0;
  private processed = 0;
  private failed = 0;
  private lastError: string | null = null;
  lastUsedMs = 0;

  constructor(
    private readonly dependencies: TopicActorDependencies,
    readonly topic: string,
    private readonly settings: TopicActorSettings,
  ) {
    this.mailbox = new Mailbox(settings.mailboxCapacity, settings.overflowStrategy);
  }

  get health(): ActorHealth {
    return {
      mailboxSize: this.mailbox.size,
      processingMs: this.processingMs,
      processed: this.processed,
      failed: this.failed,
      lastError: this.lastError,
    };
  }

  get idle(): boolean {
    return this.mailbox.size === 0 && !this.inFlight;
  }

  /**
   * Appends in the order of the calls.
   *
   * @throws RefusalError `busy` when the mailbox is full, `unavailable` when the log is.
   */
  append(entry: AppendEntry): Promise<AppendReceipt> {
    return new Promise((resolve, reject) => {
      const refused = this.mailbox.offer({ entry, resolve, reject });
      refused?.reject(this.busy());
      this.schedule();
    });
  }

  /** Refuses everything that waits; what is in flight keeps its own outcome. */
  refuseWaiting(error: RefusalError): void {
    for (const item of this.mailbox.take(this.mailbox.size)) item.reject(error);
  }

  /** The mean time of a batch is what a refused publisher has to wait for room. */
  private busy(): RefusalError {
    const retryAfterMs = Math.max(20, Math.ceil(this.processingMs * 2));
    return new RefusalError('busy', `the mailbox of topic ${this.topic} is full`, {
      retryAfterMs,
      limit: this.mailbox.capacity,
    });
  }

  private schedule(): void {
    if (this.inFlight || this.scheduled) return;
    this.scheduled = true;
    const start = () => {
      this.scheduled = false;
      void this.run();
    };
    const delayMs = this.delayMs();
    // The end of this turn, at the least: everything read from the sockets in it goes into one batch.
    if (delayMs < 1) this.dependencies.schedule(start);
    else setTimeout(start, delayMs);
  }

  /**
   * A quiet topic appends at once. On one whose messages wait for a shared flush anyway, publishes gather a little too: one append and one
   * message between the replicas then serve many.
   */
  private delayMs(): number {
    if (this.mailbox.size >= this.settings.batchMax) return 0;
    const gatherMs = this.dependencies.gatherMs(this.topic);
    return gatherMs < 1 ? 0 : this.startedMs + gatherMs - performance.now();
  }

  private async run(): Promise<void> {
    this.inFlight = true;
    this.startedMs = performance.now();
    const batch = this.mailbox.take(this.settings.batchMax);
    for (const part of splitByBytes(batch)) await this.appendBatch(part);
    this.inFlight = false;
    this.lastUsedMs = performance.now();
    if (this.mailbox.size > 0) this.schedule();
  }

  private async appendBatch(batch: readonly Waiting[]): Promise<void> {
    const startedMs = performance.now();
    try {
      const receipts = await this.dependencies.broker.append(
        this.topic,
        batch.map((item) => item.entry),
      );
      for (let i = 0; i < batch.length; i++) batch[i]!.resolve(receipts[i]!);
      this.processed += batch.length;
    } catch (error) {
      this.failed += batch.length;
      this.lastError = error instanceof Error ? error.message : String(error);
      for (const item of batch) item.reject(error);
    }
    this.processingMs += 0.2 * (performance.now() - startedMs - this.processingMs);
  }
}

function splitByBytes(batch: readonly Waiting[]): (readonly Waiting[])[] {
  let bytes = 0;
  for (const item of batch) bytes += item.entry.entry.length;
  if (bytes <= batchBytesMax) return [batch];
  const parts: Waiting[][] = [];
  let part: Waiting[] = [];
  bytes = 0;
  for (const item of batch) {
    if (part.length > 0 && bytes + item.entry.entry.length > batchBytesMax) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(item);
    bytes += item.entry.entry.length;
  }
  parts.push(part);
  return parts;
}
