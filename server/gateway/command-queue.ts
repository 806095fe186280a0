import { RefusalError } from '../../shared/errors.js';
import type { Clock } from '../primitives/clock.js';
import type { Answer } from '../commands/router.js';
import type { ClientConnection } from './client-connection.js';
import { pauses } from './inbound/pauses.js';

/**
 * With this many commands waiting, the service stops reading the transport. It does not stop at the first
 * one: pongs would not be read either, and a client that reads a long answer over a slow line would be taken
 * for dead.
 */
const pausedFrom = 100;
/**
 * With more commands waiting than this, the connection is closed. What is read before the pause takes effect
 * is far less.
 */
const waitingLimit = 10_000;

interface WaitingCommand {
  readonly command: string;
  readonly request: unknown;
  readonly resolve: (answer: Promise<Answer>) => void;
}

/** Waiting commands of one connection. */
interface Queue {
  readonly commands: WaitingCommand[];
}

type RunCommand = (connection: ClientConnection, command: string, request: unknown) => Promise<Answer>;

interface CommandQueueDependencies {
  readonly run: RunCommand;
  /** Whether a connection has joined and not left. Commands of other connections are refused. */
  readonly isConnected: (connection: ClientConnection) => boolean;
  /** Whether the answer of a command can be large. */
  readonly isExpensive: (command: string) => boolean;
  readonly clock: Clock;
}

/**
 * Limits the answers that wait for a slow reader. Commands of a connection wait while its outbox is overfull,
 * and commands with large answers run one at a time. Commands keep their order.
 */
export class CommandQueue {
  private readonly queues = new Map<ClientConnection, Queue>();
  private readonly running = new WeakSet<ClientConnection>();

  constructor(private readonly dependencies: CommandQueueDependencies) {}

  /**
   * Runs a command, after the waiting ones. Never rejects. `connection` is undefined for a client that has
   * left.
   */
  readonly run = (
    connection: ClientConnection | undefined,
    command: string,
    request: unknown,
  ): Promise<Answer> => {
    if (connection === undefined || !this.dependencies.isConnected(connection))
      return Promise.resolve(closedAnswer());
    const queue = this.queues.get(connection);
    if (queue === undefined && this.isFree(connection, command))
      return this.start(connection, command, request);
    return new Promise((resolve) => this.wait(connection, queue, { command, request, resolve }));
  };

  /** Whether no command waits. */
  get isEmpty(): boolean {
    for (const { commands } of this.queues.values()) if (commands.length > 0) return false;
    return true;
  }

  /** Does not read the connection while answers that did not go through {@link run} wait for its client. */
  waitForReader(connection: ClientConnection): void {
    if (!connection.outbox.isOverfull || this.queues.has(connection)) return;
    if (!this.dependencies.isConnected(connection)) return;
    this.queues.set(connection, { commands: [] });
    connection.inbound?.pause(pauses.answers);
    this.proceed(connection);
  }

  /** Called when the connection has closed. Its waiting commands do not run. */
  left(connection: ClientConnection): void {
    const queue = this.queues.get(connection);
    this.queues.delete(connection);
    // What waits for their end, such as the inbound budget, would hold them for ever.
    for (const { resolve } of queue?.commands ?? []) resolve(Promise.resolve(closedAnswer()));
    // The transport may stay open after the connection has left.
    this.read(connection);
  }

  private isFree(connection: ClientConnection, command: string): boolean {
    if (this.dependencies.isExpensive(command) && this.running.has(connection)) return false;
    return !connection.outbox.isOverfull;
  }

  private start(connection: ClientConnection, command: string, request: unknown): Promise<Answer> {
    const answer = this.dependencies.run(connection, command, request);
    if (!this.dependencies.isExpensive(command)) return answer;
    this.running.add(connection);
    // `answer` never rejects. It is written before the next command runs.
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
      this.queues.set(connection, { commands: [waiting] });
      this.proceed(connection);
      return;
    }
    queue.commands.push(waiting);
    if (queue.commands.length > waitingLimit) {
      this.left(connection);
      connection.disconnect(
        new RefusalError('slow_consumer', 'the client does not read the answers to its commands', {
          limit: waitingLimit,
        }),
      );
    } else if (queue.commands.length >= pausedFrom) {
      connection.inbound?.pause(pauses.answers);
    }
  }

  private proceed(connection: ClientConnection): void {
    const queue = this.queues.get(connection);
    if (queue === undefined) return;
    if (connection.outbox.isOverfull) {
      connection.outbox.onceDrained(() => this.proceed(connection));
      return;
    }
    for (let next = queue.commands[0]; next !== undefined; next = queue.commands[0]) {
      if (!this.isFree(connection, next.command)) {
        // Otherwise a command with a large answer is running; its end calls this function again.
        if (connection.outbox.isOverfull) connection.outbox.onceDrained(() => this.proceed(connection));
        return;
      }
      queue.commands.shift();
      next.resolve(this.start(connection, next.command, next.request));
    }
    this.queues.delete(connection);
    this.read(connection);
  }

  private read(connection: ClientConnection): void {
    connection.inbound?.resume(pauses.answers);
  }
}

function closedAnswer(): Answer {
  return { ok: false, error: new RefusalError('conflict', 'the connection has closed').toWire() };
}
