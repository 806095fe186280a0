import { RefusalError } from '../../shared/errors.js';
import type { Clock } from '../primitives/clock.js';
import type { Answer } from '../commands/router.js';
import type { ClientConnection } from './client-connection.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { pauseWebSocket } from './engine-internals/reading.js';

/**
 * With this many waiting a WebSocket is not read any more. Not from the first on: the client's signs of life would not be read either, and who
 * reads a long answer over a slow line would count as gone.
 */
const pausedFrom = 100;
/** Past this a connection is closed; what was read before the pause is far less. */
const waitingLimit = 10_000;

interface WaitingCommand {
  readonly command: string;
  readonly request: unknown;
  readonly resolve: (answer: Promise<Answer>) => void;
}

/** Commands of one connection that wait. */
interface Queue {
  readonly commands: WaitingCommand[];
  /** Its WebSocket, while it is not read. */
  paused: { resume(): void } | undefined;
}

export type RunCommand = (connection: ClientConnection, command: string, request: unknown) => Promise<Answer>;

export interface CommandQueueDependencies {
  readonly run: RunCommand;
  /** Whether a connection has joined and not left: nothing is run for any other. */
  readonly isConnected: (connection: ClientConnection) => boolean;
  /** Whether the answer of a command can be large. */
  readonly isExpensive: (command: string) => boolean;
  readonly clock: Clock;
}

/**
 * Lets nobody ask for more than is read: what a connection asks waits while the answers it has not taken are too much for its outbox, and of
 * commands with large answers one is run at a time. Commands keep their order.
 */
export class CommandQueue {
  private readonly queues = new Map<ClientConnection, Queue>();
  private readonly running = new WeakSet<ClientConnection>();

  constructor(private readonly dependencies: CommandQueueDependencies) {}

  /** Runs a command when its turn comes. Never rejects. `connection` is undefined for a client that has left. */
  readonly run = (
    connection: ClientConnection | undefined,
    command: string,
    request: unknown,
  ): Promise<Answer> => {
    if (connection === undefined || !this.dependencies.isConnected(connection))
      return Promise.resolve({ ok: false, error: hasLeft().toWire() });
    const queue = this.queues.get(connection);
    if (queue === undefined && this.isFree(connection, command))
      return this.start(connection, command, request);
    return new Promise((resolve) => this.wait(connection, queue, { command, request, resolve }));
  };

  /** The connection has gone; what it asked has no answer. */
  left(connection: ClientConnection): void {
    const queue = this.queues.get(connection);
    this.queues.delete(connection);
    // The transport may stay open without it.
    queue?.paused?.resume();
  }

  private isFree(connection: ClientConnection, command: string): boolean {
    if (this.dependencies.isExpensive(command) && this.running.has(connection)) return false;
    return !connection.outbox.isOverfull;
  }

  private start(connection: ClientConnection, command: string, request: unknown): Promise<Answer> {
    const answer = this.dependencies.run(connection, command, request);
    if (!this.dependencies.isExpensive(command)) return answer;
    this.running.add(connection);
    // Never rejects. The answer is written before the turn is over.
    void answer.then(() =>
      this.dependencies.clock.setImmediate(() => {
        this.running.delete(connection);
        this.proceed(connection);
      }),
    );
    return answer;
  }

  private wait(connection: ClientConnection, queue: Queue | undefined, waiting: WaitingCommand): void {
    if (queue === undefined) {
      this.queues.set(connection, { commands: [waiting], paused: undefined });
      this.proceed(connection);
      return;
    }
    queue.commands.push(waiting);
    if (queue.commands.length > waitingLimit) {
      this.left(connection);
      connection.disconnect(
        new RefusalError('slow_consumer', 'the connection asks for more than it reads', {
          limit: waitingLimit,
        }),
      );
    } else if (queue.commands.length >= pausedFrom && queue.paused === undefined) {
      queue.paused = pauseWebSocket(engineOf(connection.socket));
    }
  }

  private proceed(connection: ClientConnection): void {
    const queue = this.queues.get(connection);
    if (queue === undefined) return;
    for (let next = queue.commands[0]; next !== undefined; next = queue.commands[0]) {
      if (!this.isFree(connection, next.command)) {
        // Otherwise a command is at work, and goes on here when it is done.
        if (connection.outbox.isOverfull) connection.outbox.onceDrained(() => this.proceed(connection));
        return;
      }
      queue.commands.shift();
      next.resolve(this.start(connection, next.command, next.request));
    }
    this.queues.delete(connection);
    queue.paused?.resume();
  }
}

function hasLeft(): RefusalError {
  return new RefusalError('conflict', 'the connection has closed');
}
