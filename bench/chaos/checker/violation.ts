/** A broken promise, as one sentence. Two violations with the same rule and text are the same. */
export interface Violation {
  /** The rule of docs/SPEC.md that is broken. */
  readonly rule: string;
  readonly text: string;
  /** Topic, clients and operations that it is about. Events of others do not show it. */
  readonly about: {
    readonly topic?: string;
    readonly client?: string;
  };
}
