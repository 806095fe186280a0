import type { OrderMode } from './command-turn.js';

/** The commands of a connection on one topic. */
export interface Lane<Waiting> {
  readonly topic: string;
  /** Number of running commands that may run together, and of others. */
  together: number;
  others: number;
  /** Those that have not begun, in their order; undefined: there were none yet. */
  waiting: Waiting[] | undefined;
}

/** Whether commands wait on the topic. */
export function isAwaited({ waiting }: Lane<unknown>): boolean {
  return waiting !== undefined && waiting.length > 0;
}

/** Whether a command may run beside those that are running on the topic. */
export function hasRoom({ together, others }: Lane<unknown>, mode: OrderMode): boolean {
  return mode === 'at_once' || (others === 0 && (mode === 'together' || together === 0));
}

/** The topics on which a connection has commands. Nearly always there is one, which costs no map. */
export class Lanes<Waiting> {
  private first: Lane<Waiting> | undefined;
  private further: Map<string, Lane<Waiting>> | undefined;

  get(topic: string): Lane<Waiting> | undefined {
    return this.first?.topic === topic ? this.first : this.further?.get(topic);
  }

  /** The lane of a topic, which is new if there was none. */
  open(topic: string): Lane<Waiting> {
    const known = this.get(topic);
    if (known !== undefined) return known;
    const lane: Lane<Waiting> = { topic, together: 0, others: 0, waiting: undefined };
    if (this.first === undefined) this.first = lane;
    else (this.further ??= new Map<string, Lane<Waiting>>()).set(topic, lane);
    return lane;
  }

  close(lane: Lane<Waiting>): void {
    if (this.first === lane) this.first = undefined;
    else this.further?.delete(lane.topic);
  }
}
