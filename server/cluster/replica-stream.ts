import type { Clock, Immediate } from '../primitives/clock.js';

/** A message of a stream on the bus. Names are short: there are many. */
export interface StreamMessage {
  /** Id of the sender's stream. */
  readonly s: string;
  /** Number of this batch; of a message without a batch, the number of the last batch sent. */
  readonly n: number;
  /** The frames of the batch. */
  readonly f?: readonly unknown[];
  /** Which stream of the other side was received, and up to which batch. */
  readonly a?: readonly [stream: string, n: number];
  /** `ping` requests an answer, `pong` is one; `again` requests the batches after `a`. */
  readonly c?: 'ping' | 'pong' | 'again';
}

interface ReplicaStreamDependencies {
  readonly clock: Clock;
  /** Sends to the other replica; resolves to false if certainly nobody has received it. Never rejects. */
  readonly post: (message: StreamMessage) => Promise<boolean | undefined>;
  readonly onFrame: (frame: unknown) => void;
  /** Whether the other side is waited for. Then its silence is noticed. */
  readonly isAwaited: () => boolean;
}

interface Batch {
  readonly n: number;
  readonly frames: readonly unknown[];
  readonly bytes: number;
  sentAt: number;
}

interface WaitingFrame {
  readonly frame: unknown;
  readonly bytes: number;
}

/** One message is closed at this size, in bytes. */
const batchBytes = 64 * 1024;

/**
 * Bytes that may be sent and not acknowledged. Redis cuts a subscriber off for which 32 MB wait (`client-output-buffer-limit pubsub`): even a
 * hundred replicas that send to a stalled one stay below it.
 */
const windowBytes = 256 * 1024;

/** Received bytes after which an acknowledgement is sent at once. */
const acknowledgedBytes = windowBytes / 4;

/** Batches that are not acknowledged after this time are sent again, in milliseconds. Acknowledgements take up to a second. */
const resendMs = 2000;

/** The other side is lost after this many ticks of silence, or after so many in which nobody received what was sent. */
const silentTicks = 5;
const unreachedTicks = 2;

/**
 * One of the two sides of a stream of frames between two replicas: in order, each once, over a bus that may lose messages. Frames of one turn
 * travel in one message. If the other side is silent for too long, or has begun anew, the stream is lost as a whole.
 */
export class ReplicaStream {
  private waiting: WaitingFrame[] = [];
  private sent: Batch[] = [];
  private sentBytes = 0;
  private lastSent = 0;
  private lastAcknowledged = 0;
  private other: { readonly id: string; received: number } | undefined;
  private unacknowledged = 0;
  private isAcknowledgementDue = false;
  private hasAskedAgain = false;
  private flushing: Immediate | undefined;
  private silent = 0;
  private unreached = 0;
  private wasReached = true;
  private posting = 0;

  constructor(
    private readonly dependencies: ReplicaStreamDependencies,
    private readonly id: string,
  ) {}

  /** Whether something is to be sent, acknowledged or waited for. */
  get isActive(): boolean {
    return (
      this.isUnsent || this.sent.length > 0 || this.isAcknowledgementDue || this.dependencies.isAwaited()
    );
  }

  /** Whether frames have not been handed to Redis yet. */
  get isUnsent(): boolean {
    return this.waiting.length > 0 || this.posting > 0;
  }

  /** @param bytes about the size of the frame */
  send(frame: unknown, bytes: number): void {
    this.waiting.push({ frame, bytes });
    this.flushing ??= this.dependencies.clock.setImmediate(() => {
      this.flushing = undefined;
      this.flush();
    });
  }

  /** Takes a message. `lost`: the other side has forgotten what it had received. `renewed`: it has begun anew, and so must this side. */
  receive(message: StreamMessage): 'taken' | 'lost' | 'renewed' {
    const { s, n, f, a, c } = message;
    if (a !== undefined && a[0] !== this.id) {
      // To a former stream of this side. The other side learns from the answer that there is a new one.
      void this.post({ c: 'ping' });
      return 'taken';
    }
    if (this.other !== undefined && this.other.id !== s) return 'renewed';
    this.silent = 0;
    this.other ??= { id: s, received: 0 };
    if (a !== undefined) {
      if (a[1] < this.lastAcknowledged) return 'lost';
      this.acknowledged(a[1]);
    }
    if (f !== undefined) this.take(n, f);
    else if (n > this.other.received) this.askAgain();
    if (c === 'ping') void this.post({ c: 'pong' });
    else if (c === 'again') this.resend();
    this.flush();
    return 'taken';
  }

  /** To be called every second while the stream is active. False if the stream is lost. */
  tick(): boolean {
    if (!this.wasReached) this.unreached++;
    else this.unreached = 0;
    if (++this.silent > silentTicks || this.unreached >= unreachedTicks) return false;
    this.hasAskedAgain = false;
    const [oldest] = this.sent;
    if (oldest !== undefined && this.dependencies.clock.now() - oldest.sentAt >= resendMs) this.resend();
    else void this.post({ c: 'ping' });
    return true;
  }

  /** The next silence counts from now on: nothing was expected before. */
  wake(): void {
    this.silent = 0;
    this.unreached = 0;
    this.wasReached = true;
  }

  close(): void {
    this.dependencies.clock.clearImmediate(this.flushing);
    this.waiting = [];
    this.sent = [];
  }

  private flush(): void {
    while (this.waiting.length > 0 && this.sentBytes < windowBytes) {
      let bytes = 0;
      let count = 0;
      while (count < this.waiting.length && bytes < batchBytes) bytes += this.waiting[count++]!.bytes;
      const frames = this.waiting.splice(0, count).map(({ frame }) => frame);
      const batch = { n: ++this.lastSent, frames, bytes, sentAt: this.dependencies.clock.now() };
      this.sent.push(batch);
      this.sentBytes += bytes;
      void this.post({ n: batch.n, f: frames });
    }
  }

  /** Whether somebody is there: false if certainly nobody. */
  probe(): Promise<boolean | undefined> {
    return this.post({ c: 'ping' });
  }

  private post(message: Partial<StreamMessage>): Promise<boolean | undefined> {
    const { other } = this;
    if (other !== undefined) {
      this.isAcknowledgementDue = false;
      this.unacknowledged = 0;
    }
    this.posting++;
    const acknowledgement = other && { a: [other.id, other.received] as const };
    return this.dependencies
      .post({ s: this.id, n: this.lastSent, ...acknowledgement, ...message })
      .then((reached) => {
        this.posting--;
        if (reached !== undefined) this.wasReached = reached;
        return reached;
      });
  }

  private acknowledged(n: number): void {
    this.lastAcknowledged = n;
    while (this.sent.length > 0 && this.sent[0]!.n <= n) this.sentBytes -= this.sent.shift()!.bytes;
  }

  private take(n: number, frames: readonly unknown[]): void {
    const other = this.other!;
    if (n > other.received + 1) {
      this.askAgain();
      return;
    }
    this.isAcknowledgementDue = true;
    if (n <= other.received) return;
    other.received = n;
    this.hasAskedAgain = false;
    for (const frame of frames) this.unacknowledged += this.sizeOf(frame);
    for (const frame of frames) this.dependencies.onFrame(frame);
    if (this.unacknowledged >= acknowledgedBytes) void this.post({ c: 'pong' });
  }

  private sizeOf(frame: unknown): number {
    const data = (frame as { readonly data?: unknown } | null)?.data;
    return typeof data === 'string' ? data.length : 0;
  }

  /** Once for each gap, and again every second. */
  private askAgain(): void {
    if (this.hasAskedAgain) return;
    this.hasAskedAgain = true;
    void this.post({ c: 'again' });
  }

  private resend(): void {
    const now = this.dependencies.clock.now();
    for (const batch of this.sent) {
      batch.sentAt = now;
      void this.post({ n: batch.n, f: batch.frames });
    }
  }
}
