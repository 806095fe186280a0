import { RefusalError } from '../../shared/errors.js';
import { hookFailed } from '../hooks/hooks.js';
import { thrownText } from '../primitives/thrown-text.js';
import type { Clock, Timer } from '../primitives/clock.js';
import type { ChangeCount } from '../primitives/change-count.js';
import { Mailbox, type MailboxOverflow } from '../primitives/mailbox.js';
import type { ActorState, SupervisedChild, Supervisor } from '../supervision/supervisor.js';
import { SlidingWindow } from '../primitives/sliding-window.js';
import type { AppendEntry, AppendReceipt, Broker } from '../log/broker.js';

interface TopicActorDependencies {
  readonly broker: Broker;
  readonly supervisor: Supervisor;
  /**
   * When publishes that arrive now should be appended, on the monotonic clock; 0: at once. `leadMs` is the time
   * that an append takes. See {@link TopicActor.delayMs}.
   */
  readonly appendAt: (topic: string, leadMs: number) => number;
  /** Calls back when the next append may start. */
  readonly schedule: (start: () => void) => void;
  /** Changes of what decides who may publish. */
  readonly changes: Pick<ChangeCount, 'value'>;
  readonly clock: Clock;
}

interface TopicActorSettings {
  readonly mailboxCapacity: number;
  readonly overflowStrategy: MailboxOverflow;
  /** Maximum number of messages in one append. */
  readonly batchMax: number;
}

/** Makes an entry when it is its turn. Errors other than RefusalError count as failures of the actor. */
type PrepareEntry = () => Promise<AppendEntry>;

/** What the one who publishes wants to know of a message. */
export interface Watch {
  /** Called right before the entry is passed to the log, if something has changed meanwhile; throws to refuse it. */
  readonly recheck?: (() => void) | undefined;
  /** Called when the entry is passed to the log. */
  readonly routed?: (() => void) | undefined;
}

interface Waiting {
  /** Undefined until prepared. */
  entry: AppendEntry | undefined;
  readonly prepare: PrepareEntry | undefined;
  readonly watch: Watch | undefined;
  /** The count of changes when it was accepted. */
  readonly changesSeen: number;
  readonly resolve: (receipt: AppendReceipt) => void;
  readonly reject: (error: unknown) => void;
}

interface Ready extends Waiting {
  readonly entry: AppendEntry;
}

/** An append that has to be complete at some time starts this much earlier than it takes, in milliseconds. */
const leadMarginMs = 1;

/** Maximum size of an append in bytes, unless a single message is larger. */
const batchBytesMax = 1024 * 1024;

/** The error rate is the share of failed publishes in the last minute. */
const recently = { slotMs: 10_000, slots: 6 };

/** The health of an actor, as shown by `/admin/actors`. */
export interface ActorHealth {
  readonly state: ActorState;
  readonly mailboxSize: number;
  /** Average time of a batch; recent batches have more weight. */
  readonly processingMs: number;
  readonly processed: number;
  readonly failed: number;
  /** Share of the publishes of the last minute that failed. */
  readonly errorRate: number;
  readonly restartCount: number;
  readonly lastError: string | null;
}

/** The name under which the actor of a topic is supervised. */
export function actorIdOf(topic: string): string {
  return `topic:${topic}`;
}

/**
 * Serialises the publishes of one topic on this replica: one batch is in progress at a time, and the next one
 * is collected meanwhile. This keeps the order of each publisher and raises the throughput under load.
 */
export class TopicActor {
  private readonly mailbox: Mailbox<Waiting>;
  private inFlight = false;
  private scheduled = false;
  private dueAt = 0;
  private lingering: Timer | undefined;
  private processingMs = 0;
  private processed = 0;
  private failed = 0;
  private lastError: string | null = null;
  private readonly processedLately = new SlidingWindow(recently.slotMs, recently.slots);
  private readonly failedLately = new SlidingWindow(recently.slotMs, recently.slots);
  /** Set after a failure: the state that the supervisor keeps. */
  private child: SupervisedChild | undefined;
  lastUsedAt = 0;
  /** A message was stored in the topic. */
  hasStored = false;

  constructor(
    private readonly dependencies: TopicActorDependencies,
    readonly topic: string,
    private readonly settings: TopicActorSettings,
  ) {
    this.mailbox = new Mailbox(settings.mailboxCapacity, settings.overflowStrategy);
    this.follow(dependencies.supervisor.find(actorIdOf(topic)));
  }

  get health(): ActorHealth {
    const now = this.dependencies.clock.now();
    const failedLately = this.failedLately.sum(now);
    const lately = failedLately + this.processedLately.sum(now);
    return {
      state: this.child?.state ?? 'running',
      mailboxSize: this.mailbox.size,
      processingMs: this.processingMs,
      processed: this.processed,
      failed: this.failed,
      errorRate: lately === 0 ? 0 : failedLately / lately,
      restartCount: this.child?.restartCount ?? 0,
      lastError: this.lastError,
    };
  }

  get idle(): boolean {
    return this.mailbox.size === 0 && !this.inFlight;
  }

  /**
   * Appends in the order of the calls.
   *
   * @throws RefusalError `busy` if the mailbox is full, `unavailable` if the log is unreachable or the actor
   * was stopped
   */
  append(entry: AppendEntry | PrepareEntry, watch?: Watch): Promise<AppendReceipt> {
    return new Promise((resolve, reject) => {
      if (this.child?.state === 'stopped') {
        reject(this.child.refusal());
        return;
      }
      const changesSeen = this.dependencies.changes.value;
      const refused = this.mailbox.offer(
        typeof entry === 'function'
          ? { entry: undefined, prepare: entry, watch, changesSeen, resolve, reject }
          : { entry, prepare: undefined, watch, changesSeen, resolve, reject },
      );
      refused?.reject(this.busy());
      this.schedule();
    });
  }

  /**
   * When the waiting publishes will be appended, on the monotonic clock; 0: at the end of a turn, or after
   * the append in progress.
   */
  get appendAt(): number {
    return this.dueAt;
  }

  /** Refuses everything that waits. An append in progress keeps its own outcome. */
  refuseWaiting(error: RefusalError): void {
    for (const item of this.mailbox.take(this.mailbox.size)) item.reject(error);
  }

  /** A refused publisher should retry after the average time of a batch. */
  private busy(): RefusalError {
    const retryAfterMs = Math.max(20, Math.ceil(this.processingMs * 2));
    return new RefusalError('busy', `the mailbox of topic ${this.topic} is full`, {
      retryAfterMs,
      limit: this.mailbox.capacity,
    });
  }

  private get isHeld(): boolean {
    return this.child !== undefined && this.child.state !== 'running';
  }

  private schedule(): void {
    if (this.inFlight || this.isHeld) return;
    if (this.scheduled) {
      // A full batch gains nothing from waiting, and the mailbox is bounded.
      if (this.lingering !== undefined && this.mailbox.size >= this.settings.batchMax) this.endLinger();
      return;
    }
    this.scheduled = true;
    const delayMs = this.delayMs();
    if (delayMs < 1) {
      this.dependencies.schedule(this.start);
      return;
    }
    this.dueAt = this.dependencies.clock.now() + delayMs;
    this.lingering = this.dependencies.clock.setTimeout(() => this.endLinger(), delayMs);
  }

  private endLinger(): void {
    this.dependencies.clock.clearTimer(this.lingering);
    this.lingering = undefined;
    this.dueAt = 0;
    this.dependencies.schedule(this.start);
  }

  /** Runs at the end of a turn: everything read from the sockets in it goes into one batch. */
  private readonly start = (): void => {
    this.scheduled = false;
    if (!this.isHeld) void this.run();
  };

  /**
   * A quiet topic appends at once. If the messages of a topic wait for a shared flush anyway, its publishes
   * also linger: then one append, and one message between the replicas, serve many.
   */
  private delayMs(): number {
    if (this.mailbox.size >= this.settings.batchMax) return 0;
    const at = this.dependencies.appendAt(this.topic, this.processingMs + leadMarginMs);
    return at === 0 ? 0 : at - this.dependencies.clock.now();
  }

  private async run(): Promise<void> {
    this.inFlight = true;
    const batch = this.mailbox.take(this.settings.batchMax);
    // Either all entries of a topic are prepared, or none.
    const ready = batch[0]?.prepare === undefined ? batch : await this.prepare(batch);
    if (ready.length > 0)
      for (const part of splitByBytes(ready as readonly Ready[])) await this.appendBatch(part);
    this.inFlight = false;
    this.lastUsedAt = this.dependencies.clock.now();
    if (this.mailbox.size > 0) this.schedule();
  }

  /**
   * Prepares all entries of a batch at the same time. Refused and failed ones are answered; the others
   * continue in their order.
   */
  private async prepare(batch: readonly Waiting[]): Promise<Waiting[]> {
    const failures: unknown[] = [];
    await Promise.all(
      batch.map(async (item) => {
        try {
          item.entry ??= await item.prepare?.();
        } catch (error) {
          if (error instanceof RefusalError) {
            item.reject(error);
            return;
          }
          failures.push(error);
          item.reject(hookFailed('onPublish', error));
        }
      }),
    );
    // Several failures in one batch count as one failure of the actor.
    if (failures.length > 0) this.onFailure(failures[0], failures.length);
    return batch.filter(({ entry }) => entry !== undefined);
  }

  /**
   * The actor is restarted after a delay, during which publishes wait, or it is stopped, and they are
   * refused.
   */
  private onFailure(error: unknown, publishes: number): void {
    this.note(error, publishes);
    const child = this.dependencies.supervisor.failed(actorIdOf(this.topic), error);
    this.follow(child);
    if (child.state === 'stopped') this.refuseWaiting(child.refusal());
  }

  private follow(child: SupervisedChild | undefined): void {
    this.child = child;
    if (child === undefined) return;
    const onRestart = () => {
      if (this.mailbox.size > 0) this.schedule();
    };
    child.onRestart = onRestart;
  }

  private note(error: unknown, publishes: number): void {
    this.failed += publishes;
    this.failedLately.add(this.dependencies.clock.now(), publishes);
    this.lastError = thrownText(error);
  }

  /**
   * The messages of a batch whose senders may still publish them; the others are refused. Their order is that of their
   * acceptance: if nothing has changed since the first one, it has not since the others.
   */
  private allowed(batch: readonly Ready[]): readonly Ready[] {
    const changes = this.dependencies.changes.value;
    if (batch[0]!.changesSeen === changes) return batch;
    return batch.filter(({ changesSeen, watch, reject }) => {
      if (changesSeen === changes || watch?.recheck === undefined) return true;
      try {
        watch.recheck();
        return true;
      } catch (error) {
        reject(error);
        return false;
      }
    });
  }

  private async appendBatch(offered: readonly Ready[]): Promise<void> {
    const startedAt = this.dependencies.clock.now();
    // In the turn in which the log gets the batch.
    const batch = this.allowed(offered);
    if (batch.length === 0) return;
    for (const { watch } of batch) watch?.routed?.();
    try {
      const receipts = await this.dependencies.broker.append(
        this.topic,
        batch.map((item) => item.entry),
      );
      for (let i = 0; i < batch.length; i++) {
        const receipt = receipts[i]!;
        if (receipt.refusal === undefined) {
          this.hasStored = true;
          batch[i]!.resolve(receipt);
        } else batch[i]!.reject(receipt.refusal);
      }
      this.processed += batch.length;
      this.processedLately.add(this.dependencies.clock.now(), batch.length);
    } catch (error) {
      for (const item of batch) item.reject(error);
      // An unreachable log is not a failure of the actor.
      if (error instanceof RefusalError) this.note(error, batch.length);
      else this.onFailure(error, batch.length);
    }
    this.processingMs += 0.2 * (this.dependencies.clock.now() - startedAt - this.processingMs);
  }
}

function splitByBytes(batch: readonly Ready[]): (readonly Ready[])[] {
  let bytes = 0;
  for (const item of batch) bytes += item.entry.entry.length;
  if (bytes <= batchBytesMax) return [batch];
  const parts: Ready[][] = [];
  let part: Ready[] = [];
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
