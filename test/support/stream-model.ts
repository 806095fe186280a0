import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { TopicStream, type Gap, type HistoryRequest } from '../../client/topic-stream.js';
import { seededRandom } from '../../bench/seeded-random.js';

/** What may happen to the log besides publishes. */
export interface LogFaults {
  /** Messages get lost for good: trimmed, rolled back, or the whole log. */
  readonly losses: boolean;
}

/**
 * A log and a service, as `docs/SPEC.md` describes them, and one `TopicStream` on a bad network. Runs a random schedule, and
 * returns what was wrong with what the app has seen.
 */
export class StreamModel {
  private readonly random: (below: number) => number;
  private log: Message[] = [];
  /** No longer stored, but still before the log. */
  private trimmed: Message[] = [];
  /** Epochs of the log, each with the last sequence that is valid for it. */
  private epochs: { epoch: string; end: number }[] = [{ epoch: 'e1', end: Infinity }];
  private sequence = 0;
  private made = 0;
  private epochsMade = 1;
  private readonly order = new Map<string, number>();
  private readonly delivered: Message[] = [];
  private readonly gaps: Gap[] = [];
  private readonly wrong: string[] = [];
  private startsAfter: number | undefined;
  private isConnected = false;
  /** Sent to the client, not received yet. */
  private wire: (() => void)[] = [];
  /** What the service has written to the connection; undefined: it is not subscribed. */
  private writtenTo: Position | undefined;
  private reads: HistoryRequest[] = [];
  private isPaused = false;
  private isHealing = false;
  private readonly stream: TopicStream;

  constructor(
    seed: number,
    private readonly faults: LogFaults,
    start: { readonly last?: number } = {},
  ) {
    this.random = seededRandom(seed);
    this.stream = new TopicStream(
      {
        deliver: (messages) => this.deliver(messages),
        lost: (gap) => this.gaps.push(gap),
        readHistory: (request) => this.reads.push(request),
      },
      't',
      undefined,
      start.last,
    );
  }

  run(steps: number): string[] {
    for (let i = 0; i < steps; i++) this.step();
    this.heal();
    this.check();
    return this.wrong;
  }

  private step(): void {
    const what = this.random(24);
    if (what < 8) this.publish();
    else if (what < 14) this.receive();
    else if (what === 14) this.connect();
    else if (what === 15) this.cut();
    else if (what < 19) this.answerRead();
    else if (what === 19) this.overflow();
    else if (what === 20 && this.isPaused) this.togglePause();
    else if (what === 21) this.stream.hurry();
    else if (what === 22) this.continueEpoch();
    else if (this.faults.losses)
      [() => this.trim(), () => this.rollBack(), () => this.lose()][this.random(3)]!();
  }

  private publish(): void {
    const epoch = this.epochs[0]!.epoch;
    const id = `m${String(++this.made).padStart(4, '0')}`;
    const message = {
      id,
      topic: 't',
      epoch,
      sequence: ++this.sequence,
      payload: null,
      sender: null,
      timestamp: 0,
    };
    this.order.set(id, this.made);
    this.log.push(message);
    if (this.writtenTo !== undefined) this.write(message);
  }

  private write(message: Message): void {
    this.writtenTo = { epoch: message.epoch, sequence: message.sequence };
    this.wire.push(() => this.stream.arrived(message));
  }

  private connect(): void {
    if (this.isConnected) return;
    this.isConnected = true;
    this.stream.joining();
    const since = this.stream.at;
    const end = { epoch: this.epochs[0]!.epoch, sequence: this.sequence };
    const answer = (recovered?: boolean) =>
      this.wire.push(() => this.stream.joined({ ...end, since, recovered }));
    const isRecovered = since !== undefined && this.isValid(since) && since.sequence + 1 >= this.first;
    if (since === undefined) this.startsAfter = this.made;
    // Missed messages may come before the answer or after it.
    const isAnswerFirst = this.random(2) === 0;
    if (isAnswerFirst) answer(since && isRecovered);
    if (isRecovered)
      for (const message of this.log) if (message.sequence > since.sequence) this.write(message);
    if (!isAnswerFirst) answer(since && isRecovered);
    this.writtenTo = end;
  }

  private cut(): void {
    if (!this.isConnected) return;
    // A part of what is on the wire arrives.
    for (let parts = this.random(4); parts > 0; parts--) this.receive();
    this.isConnected = false;
    this.wire = [];
    this.reads = [];
    this.writtenTo = undefined;
    this.stream.disconnected();
  }

  private receive(): void {
    this.wire.shift()?.();
  }

  private answerRead(): void {
    const request = this.reads.shift();
    if (request === undefined) return;
    const end = { epoch: this.epochs[0]!.epoch, sequence: this.sequence };
    if ('last' in request) {
      this.startsAfter = this.made;
      const messages = this.log.slice(-request.last);
      if (messages.length > 0) this.startsAfter = this.order.get(messages[0]!.id)! - 1;
      return this.stream.historyRead({ ...end, messages, complete: true });
    }
    const { since } = request;
    const isValid = this.isValid(since);
    const after = isValid ? this.log.filter(({ sequence }) => sequence > since.sequence) : this.log;
    const limit = 1 + this.random(4);
    const messages = after.slice(0, limit);
    const last = messages.at(-1);
    this.stream.historyRead({
      ...end,
      messages,
      complete: isValid && since.sequence + 1 >= this.first,
      next:
        after.length > limit && last !== undefined
          ? { epoch: last.epoch, sequence: last.sequence }
          : undefined,
    });
  }

  /** Messages are not written to this connection, and it is told. */
  private overflow(): void {
    if (this.writtenTo === undefined) return;
    const silent = 1 + this.random(3);
    const keep = this.writtenTo;
    this.writtenTo = undefined;
    for (let i = 0; i < silent; i++) this.publish();
    this.writtenTo = keep;
    const to = { epoch: this.epochs[0]!.epoch, sequence: this.sequence };
    this.writtenTo = to;
    this.wire.push(() => this.stream.arrived({ ...to, reason: 'outbox_overflow' }));
  }

  private togglePause(): void {
    if (this.isPaused) this.stream.resume(this.writtenTo !== undefined);
    else this.stream.pause();
    this.isPaused = !this.isPaused;
  }

  private continueEpoch(): void {
    this.epochs[0]!.end = this.sequence;
    this.epochs.unshift({ epoch: `e${++this.epochsMade}`, end: Infinity });
  }

  private trim(): void {
    this.trimmed.push(...this.log.splice(0, this.random(this.log.length + 1)));
  }

  private rollBack(): void {
    const removed = this.random(Math.min(3, this.log.length) + 1);
    if (removed === 0) return;
    this.log.splice(this.log.length - removed);
    this.sequence -= removed;
    for (const one of this.epochs) one.end = Math.min(one.end, this.sequence);
    this.epochs.unshift({ epoch: `r${++this.epochsMade}`, end: Infinity });
    this.announce('log_rolled_back');
  }

  private lose(): void {
    this.log = [];
    this.trimmed = [];
    this.sequence = 0;
    this.epochs = [{ epoch: `l${++this.epochsMade}`, end: Infinity }];
    this.announce('log_lost');
  }

  /** A live subscriber is told where it goes on. */
  private announce(reason: string): void {
    if (this.writtenTo === undefined) return;
    const to = { epoch: this.epochs[0]!.epoch, sequence: this.sequence };
    this.writtenTo = to;
    this.wire.push(() => this.stream.arrived({ ...to, reason }));
  }

  private get first(): number {
    return this.log[0]?.sequence ?? this.sequence + 1;
  }

  private isValid({ epoch, sequence }: Position): boolean {
    const known = this.epochs.find((one) => one.epoch === epoch);
    return known !== undefined && sequence <= Math.min(known.end, this.sequence);
  }

  /** The network is well again, and everything that is on its way arrives. */
  private heal(): void {
    this.isHealing = true;
    if (this.isPaused) this.togglePause();
    this.connect();
    for (let turns = 0; this.wire.length + this.reads.length > 0; turns++) {
      if (turns > 10_000) {
        this.wrong.push('the stream reads for ever');
        return;
      }
      if (this.wire.length > 0) this.receive();
      else this.answerRead();
      this.stream.hurry();
    }
    // A hole has to be noticed without a later message, too.
    for (let n = this.random(3); n > 0; n--) this.publish();
    for (let turns = 0; this.wire.length + this.reads.length > 0 && turns < 10_000; turns++) {
      if (this.wire.length > 0) this.receive();
      else this.answerRead();
    }
    this.stream.hurry();
  }

  private deliver(messages: readonly Message[]): void {
    for (const message of messages) this.delivered.push(message);
    if (!this.isHealing && !this.isPaused && this.random(40) === 0) this.togglePause();
  }

  private check(): void {
    const seen = new Set<string>();
    let last = 0;
    for (const { id } of this.delivered) {
      if (seen.has(id)) this.wrong.push(`${id} was handed over twice`);
      seen.add(id);
      const at = this.order.get(id)!;
      if (at < last) this.wrong.push(`${id} was handed over after m${last}`);
      last = at;
    }
    for (const message of [...this.trimmed, ...this.log])
      if (this.order.get(message.id)! > this.startsAfter! && !seen.has(message.id) && !this.isTold(message))
        this.wrong.push(`${message.id} is missing, and nothing was told`);
    if (!this.faults.losses && this.gaps.length > 0)
      this.wrong.push(`a loss was told: ${JSON.stringify(this.gaps)}`);
  }

  private isTold({ epoch, sequence }: Message): boolean {
    return this.gaps.some(
      ({ from, to }) =>
        sequence <= to.sequence && (from.epoch !== epoch || sequence > from.sequence || to.epoch !== epoch),
    );
  }
}
