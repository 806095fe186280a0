import { RefusalError, toWireError } from '../../shared/errors.js';
import type { Answer } from '../commands/router.js';
import type { AnswerBudget, AnswerHold } from '../limits/answer-budget.js';
import type { Clock } from '../primitives/clock.js';
import type { ClientConnection } from './client-connection.js';

type RunCommand = (connection: ClientConnection, command: string, request: unknown) => Promise<Answer>;

interface BoundedAnswersDependencies {
  readonly run: RunCommand;
  /** Whether the answer of a command can be large. */
  readonly isExpensive: (command: string) => boolean;
  readonly budget: AnswerBudget;
  readonly clock: Clock;
}

/**
 * Runs commands whose answers can be large within the answer budget of the process: room is reserved before a
 * command reads, and returned when the client has taken its answer or has left.
 */
export class BoundedAnswers {
  constructor(
    private readonly dependencies: BoundedAnswersDependencies,
    private readonly settings: { readonly answerBytes: number },
  ) {}

  /** Runs a command. Never rejects. */
  readonly run: RunCommand = (connection, command, request) => {
    const { run, isExpensive, budget } = this.dependencies;
    if (!isExpensive(command)) return run(connection, command, request);
    const { userId } = connection.identity;
    const hold = budget.tryAcquire(userId, this.settings.answerBytes);
    if (hold !== undefined) return this.runWith(hold, connection, command, request);
    return budget.acquire(userId, this.settings.answerBytes).then(
      (later) => this.runWith(later, connection, command, request),
      (error: unknown) => ({ ok: false, error: toWireError(error) }),
    );
  };

  private async runWith(
    hold: AnswerHold,
    connection: ClientConnection,
    command: string,
    request: unknown,
  ): Promise<Answer> {
    const { run, clock } = this.dependencies;
    const { outbox } = connection;
    if (outbox.isClosed) {
      // It has left while it waited for room.
      hold.release();
      return { ok: false, error: new RefusalError('conflict', 'the connection has closed').toWire() };
    }
    const answer = await run(connection, command, request);
    // The answer is written in this turn.
    clock.setImmediate(() => {
      if (outbox.isClosed || outbox.drained) {
        hold.release();
        return;
      }
      hold.written(outbox.bytesInTransport ?? hold.bytes, () => connection.disconnect(unread()));
      outbox.onceTaken(() => hold.release());
    });
    return answer;
  }
}

function unread(): RefusalError {
  return new RefusalError('slow_consumer', 'the client does not read the answers to its commands');
}
