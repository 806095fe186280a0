import type { Clock } from '../primitives/clock.js';
import type { Connection } from '../protocol/connection.js';
import { CommandLine } from './command-line.js';
import { freeTurn, type CommandPlace, type Turn } from './command-turn.js';

type WithLine = Connection & Record<symbol, CommandLine | undefined>;

/**
 * Lets the commands of a connection take effect in the order in which they were sent. A command waits until the earlier
 * ones on its topics have had their effect; commands on different topics do not wait for each other.
 *
 * None waits for ever: it waits only for earlier ones, and each of those ends, at the latest by a time limit of the log
 * or of a hook. How many there are is bounded by the inbound budget, which counts commands until they are answered.
 */
export class CommandOrder {
  /**
   * The line of a connection is a property of it: lines come and go with nearly every command, and the former tables of a `Map` would keep them, see
   * `Registry`.
   */
  private readonly key = Symbol('commands that have not had their effect');
  private count = 0;

  constructor(private readonly dependencies: { readonly clock: Clock }) {}

  /** Called with each command in the order of arrival; {@link Turn.done} has to follow. */
  enter<Request>(connection: Connection, place: CommandPlace<Request> | undefined, request: Request): Turn {
    if (place === undefined) return freeTurn;
    const holder = connection as WithLine;
    let line = holder[this.key];
    if (line === undefined) {
      line = new CommandLine(connection, this.dependencies.clock, this.onEmpty);
      holder[this.key] = line;
      this.count++;
    }
    return line.enter(place.mode, place.topics(request));
  }

  /** Number of connections with such commands. */
  get size(): number {
    return this.count;
  }

  private readonly onEmpty = (connection: Connection): void => {
    (connection as WithLine)[this.key] = undefined;
    this.count--;
  };
}
