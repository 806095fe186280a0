import type { Clock } from '../primitives/clock.js';
import type { Connection } from '../protocol/connection.js';
import { CommandLine } from './command-line.js';
import { freeTurn, type CommandPlace, type Turn } from './command-turn.js';

/**
 * Lets the commands of a connection take effect in the order in which they were sent. A command waits until the earlier
 * ones on its topics have had their effect; commands on different topics do not wait for each other.
 *
 * None waits for ever: it waits only for earlier ones, and each of those ends, at the latest by a time limit of the log
 * or of a hook. How many there are is bounded by the inbound budget, which counts commands until they are answered.
 */
export class CommandOrder {
  /** Connections with commands that have not had their effect. */
  private readonly lines = new Map<Connection, CommandLine>();

  constructor(private readonly dependencies: { readonly clock: Clock }) {}

  /** Called with each command in the order of arrival; {@link Turn.done} has to follow. */
  enter<Request>(connection: Connection, place: CommandPlace<Request> | undefined, request: Request): Turn {
    if (place === undefined) return freeTurn;
    let line = this.lines.get(connection);
    if (line === undefined) {
      line = new CommandLine(connection, this.dependencies.clock, this.onEmpty);
      this.lines.set(connection, line);
    }
    return line.enter(place.mode, place.topics(request));
  }

  /** Number of connections with such commands. */
  get size(): number {
    return this.lines.size;
  }

  private readonly onEmpty = (connection: Connection): void => {
    this.lines.delete(connection);
  };
}
