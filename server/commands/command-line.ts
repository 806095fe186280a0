import type { Clock, Timer } from '../primitives/clock.js';
import type { Connection } from '../protocol/connection.js';
import { hasRoom, isAwaited, Lanes, type Lane } from './command-lanes.js';
import { everyTopic, type OrderedTopics, type OrderMode, type Turn } from './command-turn.js';

/**
 * A command on every topic that need not wait for the effect of earlier ones waits this long for it nevertheless, in
 * milliseconds: usually they have it soon.
 */
const patienceMs = 500;
/**
 * With so many commands that wait for earlier ones, the connection is not read until half of them have begun: what it sends would mostly wait too,
 * and each takes some KiB meanwhile.
 */
const waitingMax = 32;

/**
 * The commands of one connection that have not had their effect. Most connections have one command at a time, so that
 * there is a new line for each command: it holds little, and makes the rest when it is needed.
 */
export class CommandLine {
  private readonly lanes = new Lanes<LineTurn>();
  /** Number of commands in the lanes, or without topics; and of those among them whose code was not called yet. */
  private unfinished = 0;
  private uncalled = 0;
  /** Commands that had to wait, and whose code has not been called yet. */
  private waiting = 0;
  /** A command on every topic. Later ones wait {@link behind} it. */
  private barrier: LineTurn | undefined;
  /** Set while the barrier waits for the effect of earlier ones, and need not for ever; then it is impatient. */
  private patience: Timer | undefined;
  private isImpatient = false;
  private behind: LineTurn[] | undefined;
  /** Commands that had to wait and may run, but whose code has not been called yet. */
  beginning = 0;

  /** @param onEmpty called when the last command has had its effect */
  constructor(
    private readonly connection: Connection,
    private readonly clock: Clock,
    private readonly onEmpty: (connection: Connection) => void,
  ) {}

  /** A command has to wait. */
  waits(): void {
    if (++this.waiting === waitingMax) this.connection.pauseReading?.(true);
  }

  /** A command that had to wait is called now. */
  waitsNoLonger(): void {
    this.beginning--;
    if (--this.waiting === waitingMax / 2) this.connection.pauseReading?.(false);
  }

  enter(mode: OrderMode, topics: OrderedTopics): Turn {
    const distinct = topics === everyTopic || topics.length < 2 ? topics : [...new Set(topics)];
    const turn = new LineTurn(this, mode, distinct);
    this.place(turn);
    return turn;
  }

  /** The code of a command is called. */
  called(turn: LineTurn): void {
    if (turn === this.barrier) return;
    this.uncalled--;
    // After that call.
    if (this.barrier?.mode === 'at_once') queueMicrotask(() => this.tryBarrier());
  }

  /** A command has no further effect on a topic. */
  leave({ mode }: LineTurn, topic: string): void {
    const lane = this.lanes.get(topic)!;
    if (mode === 'together') lane.together--;
    else lane.others--;
    this.proceed(lane);
  }

  /** A command has no further effect, and has left its topics. */
  end(turn: LineTurn): void {
    if (turn === this.barrier) {
      this.barrier = undefined;
      const { behind = [] } = this;
      this.behind = undefined;
      for (const next of behind) this.place(next);
    } else {
      this.unfinished--;
      this.tryBarrier();
    }
    if (this.unfinished === 0 && this.barrier === undefined) this.onEmpty(this.connection);
  }

  private place(turn: LineTurn): void {
    const { topics } = turn;
    if (this.barrier !== undefined) {
      turn.wait();
      (this.behind ??= []).push(turn);
    } else if (topics === everyTopic) {
      this.barrier = turn;
      this.isImpatient = false;
      if (this.tryBarrier()) return;
      turn.wait();
      if (turn.mode === 'at_once')
        this.patience = this.clock.setTimeout(() => this.onImpatient(), patienceMs);
    } else {
      this.unfinished++;
      this.uncalled++;
      if (topics.every((topic) => this.isFree(topic, turn))) {
        this.run(turn, topics);
        return;
      }
      turn.wait();
      for (const topic of topics) (this.lanes.open(topic).waiting ??= []).push(turn);
    }
  }

  private isFree(topic: string, { mode }: LineTurn): boolean {
    const lane = this.lanes.get(topic);
    return lane === undefined || (!isAwaited(lane) && hasRoom(lane, mode));
  }

  private run(turn: LineTurn, topics: readonly string[]): void {
    for (const topic of topics) {
      const lane = this.lanes.open(topic);
      if (turn.mode === 'together') lane.together++;
      else lane.others++;
    }
    this.begin(turn);
  }

  /** Begins what can begin on a topic. */
  private proceed(lane: Lane<LineTurn>): void {
    if (!isAwaited(lane)) {
      if (lane.together + lane.others === 0) this.lanes.close(lane);
      return;
    }
    const changed = [lane.topic];
    for (let next = changed.pop(); next !== undefined; next = changed.pop()) {
      const turn = this.lanes.get(next)?.waiting?.[0];
      if (turn === undefined || !this.isFirst(turn)) continue;
      const topics = turn.topics as readonly string[];
      for (const its of topics) this.lanes.get(its)!.waiting!.shift();
      this.run(turn, topics);
      changed.push(...topics);
    }
  }

  /** Begins the command on every topic, if it may. */
  private tryBarrier(): boolean {
    const { barrier } = this;
    if (barrier === undefined || barrier.hasBegun) return false;
    if ((this.isImpatient ? this.uncalled : this.unfinished) > 0) return false;
    this.clock.clearTimer(this.patience);
    this.patience = undefined;
    this.begin(barrier);
    return true;
  }

  private onImpatient(): void {
    this.patience = undefined;
    this.isImpatient = true;
    this.tryBarrier();
  }

  /** Whether a waiting command may begin on all its topics. */
  private isFirst(turn: LineTurn): boolean {
    return (turn.topics as readonly string[]).every((topic) => {
      const lane = this.lanes.get(topic)!;
      return lane.waiting![0] === turn && hasRoom(lane, turn.mode);
    });
  }

  private begin(turn: LineTurn): void {
    // It must not overtake one that may run and has not been called yet.
    if (this.beginning > 0) turn.wait();
    if (turn.begun !== undefined) this.beginning++;
    turn.begin();
  }
}

class LineTurn implements Turn {
  begun: Promise<void> | undefined;
  hasBegun = false;
  private isCalled = false;
  private resolve: (() => void) | undefined;
  private isDone = false;
  /** Topics on which it has no further effect, before it is done; undefined: none, as nearly always. */
  private left: Set<string> | undefined;

  constructor(
    private readonly line: CommandLine,
    readonly mode: OrderMode,
    readonly topics: OrderedTopics,
  ) {}

  wait(): void {
    if (this.begun !== undefined) return;
    this.begun = new Promise((resolve) => (this.resolve = resolve));
    this.line.waits();
    // Right before the caller, who waits for the same promise, continues.
    void this.begun.then(() => this.line.waitsNoLonger());
  }

  begin(): void {
    this.hasBegun = true;
    this.resolve?.();
  }

  runs(): void {
    if (this.isCalled) return;
    this.isCalled = true;
    this.line.called(this);
  }

  doneWith(topic: string): void {
    if (this.isDone || this.topics === everyTopic || this.left?.has(topic) === true) return;
    if (!this.topics.includes(topic)) return;
    (this.left ??= new Set()).add(topic);
    this.line.leave(this, topic);
  }

  done(): void {
    if (this.isDone) return;
    this.isDone = true;
    // It may have been refused before.
    this.runs();
    const { topics, left } = this;
    if (topics !== everyTopic)
      for (const topic of topics) if (left?.has(topic) !== true) this.line.leave(this, topic);
    this.line.end(this);
  }
}
