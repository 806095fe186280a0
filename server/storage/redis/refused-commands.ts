import { ErrorReply } from 'redis';
import type { Log } from '../../logging/log.js';

/** A refusal is logged again after this time, in milliseconds. */
const againMs = 600_000;
const keptMax = 1000;

/** What a command is about. */
type Subject = { readonly topic: string } | { readonly keys: readonly string[] };

/** Logs commands that Redis has refused: once for each topic or keys and kind of error, not for each attempt. */
export class RefusedCommands {
  private readonly loggedAt = new Map<string, number>();

  constructor(
    private readonly log: Log,
    private readonly now: () => number = () => performance.now(),
  ) {}

  report(error: Error, subject: Subject): void {
    const code = error.message.split(' ', 1)[0]!;
    const name = `${code} ${JSON.stringify(subject)}`;
    const now = this.now();
    if (now - (this.loggedAt.get(name) ?? -Infinity) < againMs) return;
    if (this.loggedAt.size >= keptMax) this.loggedAt.clear();
    this.loggedAt.set(name, now);
    this.log.error('Redis has refused a command', {
      ...subject,
      error: error.message,
      ...(code === 'WRONGTYPE' && {
        remedy:
          'topic' in subject
            ? 'another program has written a key of this topic: remove those keys of the topic that have another type than a stream (:log), a hash (:meta, :from) or text (:k:, :o:)'
            : 'another program has written one of these keys: remove that one',
      }),
    });
  }
}

/** Whether Redis has refused a command for a reason that no later call ends by itself: a key has another type, or its user has no right to it. */
export function isLasting(error: unknown): error is ErrorReply {
  return error instanceof ErrorReply && /\b(?:WRONGTYPE|NOPERM)\b/.test(error.message);
}
