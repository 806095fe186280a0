/** Stands for all topics. */
export const everyTopic = Symbol('every topic');

/** The topics that a command concerns. */
export type OrderedTopics = readonly string[] | typeof everyTopic;

/**
 * How a command runs on its topics:
 *
 * - `alone`: when all earlier ones have had their effect.
 * - `together`: as `alone`, but several such commands may run at once, because they do not see each other's effect, or
 *   what runs them keeps their order.
 * - `at_once`: when all earlier ones have begun, because it also ends what they have begun. On every topic: when they have
 *   had their effect; after half a second, also when their code has been called, because until then they have not been checked.
 */
export type OrderMode = 'alone' | 'together' | 'at_once';

/** How a command is ordered with the others of its connection. */
export interface CommandPlace<Request> {
  readonly mode: OrderMode;
  topics(request: Request): OrderedTopics;
}

/** The turn of one command. */
export interface Turn {
  /** Resolves when the command may run; undefined: it may run now. */
  readonly begun: Promise<void> | undefined;
  /** The command runs now: what it may do has been decided when its code returns for the first time. */
  runs(): void;
  /** The command has no further effect on a topic: later ones may run there. */
  doneWith(topic: string): void;
  /** The command has no further effect. May be called several times. */
  done(): void;
}

/** The turn of a command that waits for no other, and for which no other waits. */
export const freeTurn: Turn = { begun: undefined, runs() {}, doneWith() {}, done() {} };
