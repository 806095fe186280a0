import { RefusalError } from '../../shared/errors.js';
import type { Answer, RunWithin } from '../commands/router.js';
import type { AnswerBudget, AnswerHold } from '../limits/answer-budget.js';
import type { Clock } from '../primitives/clock.js';
import type { ClientConnection } from './client-connection.js';

type RunCommand = (connection: ClientConnection, command: string, request: unknown) => Promise<Answer>;

interface BoundedAnswersDependencies {
  /** Runs a command when it is its turn, if `within` is given within it. Never rejects. */
  readonly run: (...command: [...Parameters<RunCommand>, within?: RunWithin]) => Promise<Answer>;
  /** Whether the answer of a command can be large. */
  readonly isExpensive: (command: string) => boolean;
  readonly budget: AnswerBudget;
  readonly clock: Clock;
}

/**
 * Runs commands whose answers can be large within the answer budget of the process: room is reserved before a
 * command reads, when it is its turn, and returned when the client has taken its answer or has left.
 */
export class BoundedAnswers {
  constructor(
    private readonly dependencies: BoundedAnswersDependencies,
    private readonly settings: { readonly answerBytes: number },
  ) {}

  /** Runs a command. Never rejects. */
  readonly run: RunCommand = (connection, command, request) => {
    const { run, isExpensive } = this.dependencies;
    if (!isExpensive(command)) return run(connection, command, request);
    return run(connection, command, request, (execute) => this.withRoom(connection, execute));
  };

  /** @throws RefusalError `busy` if there is no room for too long */
  private async withRoom(connection: ClientConnection, execute: () => Promise<Answer>): Promise<Answer> {
    const { budget } = this.dependencies;
    const { outbox, identity } = connection;
    const { answerBytes } = this.settings;
    const hold =
      budget.tryAcquire(identity.userId, answerBytes) ?? (await budget.acquire(identity.userId, answerBytes));
    try {
      // It may have left while it waited for room.
      if (outbox.isClosed) throw new RefusalError('conflict', 'the connection has closed');
      return await execute();
    } finally {
      this.releaseWhenTaken(connection, hold);
    }
  }

  private releaseWhenTaken(connection: ClientConnection, hold: AnswerHold): void {
    const { outbox } = connection;
    // The answer is written in this turn.
    this.dependencies.clock.setImmediate(() => {
      if (outbox.isClosed || outbox.drained) {
        hold.release();
        return;
      }
      hold.written(outbox.bytesInTransport ?? hold.bytes, () => connection.disconnect(unread()));
      outbox.onceTaken(() => hold.release());
    });
  }
}

function unread(): RefusalError {
  return new RefusalError('slow_consumer', 'the client does not read the answers to its commands');
}
