import { RefusalError } from '../../shared/errors.js';
import type { Clock } from '../primitives/clock.js';
import type { Answer } from '../commands/router.js';
import type { ClientConnection } from './client-connection.js';
import type { EngineConnection } from '../fanout/engine-connection.js';

/** Commands whose answers can be large. */
const heavy: ReadonlySet<string> = new Set(['history', 'missed', 'presence']);
/**
 * With this many waiting a WebSocket is not read any more. Not from the first on: the client's signs of life would not be read either, and who
 * reads a long answer over a slow line would count as gone.
 */
const pausedFrom = 100;
/** Past this a connection is closed; what was read before the pause is far less. */
const waitingLimit = 10_000;

/** What of a WebSocket is paused while its commands wait. */
interface PausableSocket {
  pause?(): void;
  resume?(): void;
}

interface WaitingCommand {
  readonly command: string;
  readonly request: unknown;
  readonly resolve: (answer: Promise<Answer>) => void;
}

interface Line {
  readonly commands: WaitingCommand[];
  paused: PausableSocket | undefined;
}

export type RunCommand = (connection: ClientConnection, command: string, request: unknown) => Promise<Answer>;

export interface CommandQueueDependencies {
  readonly run: RunCommand;
  readonly clock: Clock;
}

/**
 * Lets nobody ask for more than is read: what a connection asks waits while the answers it has not taken are too much for its outbox, and of
 * commands with large answers one is run at a time. Commands keep their order.
 */
export class CommandQueue {
  private readonly lines = new Map<ClientConnection, Line>();
  private readonly atWork = new WeakSet<ClientConnection>();

  constructor(private readonly dependencies: CommandQueueDependencies) {}

  run(connection: ClientConnection, command: string, request: unknown): Promise<Answer> {
    const line = this.lines.get(connection);
    if (line === undefined && this.isFree(connection, command))
      return this.start(connection, command, request);
    return new Promise((resolve) => this.wait(connection, line, { command, request, resolve }));
  }

  /** The connection has gone; what it asked has no answer. */
  left(connection: ClientConnection): void {
    const line = this.lines.get(connection);
    this.lines.delete(connection);
    // The transport may stay open without it.
    line?.paused?.resume?.();
  }

  private isFree(connection: ClientConnection, command: string): boolean {
    if (heavy.has(command) && this.atWork.has(connection)) return false;
    return !connection.outbox.isOverfull;
  }

  private start(connection: ClientConnection, command: string, request: unknown): Promise<Answer> {
    const answer = this.dependencies.run(connection, command, request);
    if (!heavy.has(command)) return answer;
    this.atWork.add(connection);
    // Never rejects. The answer is written before the turn is over.
    void answer.then(() =>
      this.dependencies.clock.setImmediate(() => {
        this.atWork.delete(connection);
        this.proceed(connection);
      }),
    );
    return answer;
  }

  private wait(connection: ClientConnection, line: Line | undefined, waiting: WaitingCommand): void {
    if (line === undefined) {
      this.lines.set(connection, { commands: [waiting], paused: undefined });
      this.proceed(connection);
      return;
    }
    line.commands.push(waiting);
    if (line.commands.length > waitingLimit) {
      this.left(connection);
      connection.disconnect(
        new RefusalError('slow_consumer', 'the connection asks for more than it reads', {
          limit: waitingLimit,
        }),
      );
    } else if (line.commands.length >= pausedFrom && line.paused === undefined) {
      // Long-polling brings what it has in requests, one at a time and of bounded size.
      const { transport } = connection.socket.conn as unknown as EngineConnection;
      line.paused = transport.socket as PausableSocket | undefined;
      line.paused?.pause?.();
    }
  }

  private proceed(connection: ClientConnection): void {
    const line = this.lines.get(connection);
    if (line === undefined) return;
    for (let next = line.commands[0]; next !== undefined; next = line.commands[0]) {
      if (!this.isFree(connection, next.command)) {
        // Otherwise a command is at work, and goes on here when it is done.
        if (connection.outbox.isOverfull) connection.outbox.onceDrained(() => this.proceed(connection));
        return;
      }
      line.commands.shift();
      next.resolve(this.start(connection, next.command, next.request));
    }
    this.lines.delete(connection);
    line.paused?.resume?.();
  }
}
