import { RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Connection } from '../protocol/connection.js';
import type { Command } from './command.js';
import type { CommandOrder } from './command-order.js';
import { freeTurn } from './command-turn.js';
import type { StillAdmitted } from './still-admitted.js';
import { beginningOf } from '../protocol/name.js';
import { parseRequest } from '../protocol/parse-request.js';

/** The answer of every command. */
export type Answer = ({ readonly ok: true } & object) | { readonly ok: false; readonly error: WireError };

export interface CommandRouterDependencies {
  readonly commands: readonly Command[];
  readonly order: CommandOrder;
  readonly log: Log;
  /**
   * Called before a command runs; throws or rejects to refuse it (limits, modes). If it returns a promise, the command waits for it. Undefined:
   * there is no such command, and only limits apply.
   */
  readonly admit: (
    connection: Connection,
    command: Pick<Command, 'name' | 'refusedIn'> | undefined,
  ) => void | Promise<void>;
  /** Called before a command runs that has waited for {@link admit}. */
  readonly stillAdmitted: StillAdmitted;
  /** Called for each refused command. */
  readonly onRefused: (refusal: RefusedCommand) => void;
}

/** A command that was refused or has failed. */
export interface RefusedCommand {
  readonly connection: Connection;
  readonly name: string;
  readonly request: unknown;
  readonly error: unknown;
  readonly code: WireError['code'];
  /** Whether the command ran: false if it was refused by a limit or a mode, or because its form is invalid. */
  readonly ran: boolean;
}

/** Runs a command whose turn it is: may wait before, and look at what became of it. */
export type RunWithin = (run: () => Promise<Answer>) => Promise<Answer>;

/** Validates, admits and runs commands in their order, and converts every outcome into an answer. */
export class CommandRouter {
  /** Commands that are not answered yet. */
  running = 0;
  private readonly commands: ReadonlyMap<string, Command>;
  private readonly byFrame: ReadonlyMap<string, Command>;
  /** By connection, settles when the last command has been admitted, or refused, that had to wait for it. */
  private readonly admissions = new Map<Connection, Promise<void>>();

  constructor(private readonly dependencies: CommandRouterDependencies) {
    const { commands } = dependencies;
    this.commands = new Map(commands.map((command) => [command.name, command]));
    this.byFrame = new Map(commands.map((command) => [command.frame.type, command]));
  }

  /** The command that a frame of `/ws` asks for. */
  commandOfFrame(type: string): Command | undefined {
    return this.byFrame.get(type);
  }

  /** Whether the answer of a command can be large. */
  isExpensive(name: string): boolean {
    return this.commands.get(name)?.isExpensive === true;
  }

  /** The schema of the requests of a command, which exists. */
  schemaOf(name: string): Command['schema'] {
    return this.commands.get(name)!.schema;
  }

  /** Whether the requests of a command have a payload. */
  carriesPayload(name: string): boolean {
    return this.commands.get(name)?.carriesPayload === true;
  }

  /** Runs a command after the earlier ones of its connection that it depends on. Never throws and never rejects. */
  async run(connection: Connection, name: string, request: unknown, within?: RunWithin): Promise<Answer> {
    let ran = false;
    this.running++;
    let turn = freeTurn;
    try {
      const command = this.commands.get(name);
      const admitted = this.admit(connection, command);
      if (admitted !== undefined) {
        await admitted;
        checkOpen(connection);
        this.dependencies.stillAdmitted(connection, command);
      }
      if (command === undefined)
        throw new RefusalError(
          'unknown_type',
          `there is no command ${JSON.stringify(beginningOf(name, 50))}`,
        );
      const parsed = parseRequest(command.schema, request ?? {});
      // What the client has sent is not held while the command waits.
      request = parsed;
      turn = this.dependencies.order.enter(connection, command.order, parsed);
      if (turn.begun !== undefined) {
        await turn.begun;
        // A client that has left by itself may have what it sent before; answers would reach nobody.
        if (command.carriesPayload !== true) checkOpen(connection);
        this.dependencies.stillAdmitted(connection, command);
      }
      ran = true;
      if (within === undefined) {
        turn.runs();
        return { ok: true, ...(await command.run(connection, parsed, turn)) };
      }
      return await within(async () => {
        turn.runs();
        return { ok: true, ...(await command.run(connection, parsed, turn)) };
      });
    } catch (error) {
      return this.refuse({ connection, name, request, error, ran });
    } finally {
      this.running--;
      turn.done();
    }
  }

  /** The error for a frame of `/ws` that is no command: it passes the limits like one. Never rejects. */
  async refuseFrame(connection: Connection, error: RefusalError): Promise<WireError> {
    const refused = { connection, name: 'none', request: undefined, ran: false };
    try {
      await this.dependencies.admit(connection, undefined);
      return this.refuse({ ...refused, error }).error;
    } catch (limit) {
      return this.refuse({ ...refused, error: limit }).error;
    }
  }

  /** Admits a command after the earlier ones of its connection, so that none overtakes another meanwhile. */
  private admit(connection: Connection, command: Command | undefined): void | Promise<unknown> {
    const { admissions } = this;
    const admitted = this.dependencies.admit(connection, command);
    const earlier = admissions.size > 0 ? admissions.get(connection) : undefined;
    const all = earlier === undefined ? admitted : Promise.all([earlier, admitted]);
    if (all === undefined) return undefined;
    const settled = all
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (admissions.get(connection) === settled) admissions.delete(connection);
      });
    admissions.set(connection, settled);
    return all;
  }

  private refuse(refused: Omit<RefusedCommand, 'code'>): Answer & { readonly ok: false } {
    const { connection, name, error } = refused;
    const wire = toWireError(error);
    this.dependencies.onRefused({ ...refused, code: wire.code });
    if (error instanceof RefusalError) {
      this.dependencies.log.debug('Command refused', {
        connection_id: connection.id,
        command: name,
        code: wire.code,
      });
    } else {
      this.dependencies.log.error('Command failed', { connection_id: connection.id, command: name, error });
    }
    return { ok: false, error: wire };
  }
}

function checkOpen(connection: Connection): void {
  if (connection.isClosed === true) throw new RefusalError('conflict', 'the connection has closed');
}
