import { RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Connection } from '../protocol/connection.js';
import type { Command } from './command.js';
import { requestError } from '../protocol/request-error.js';

/** The answer of every command. */
export type Answer = ({ readonly ok: true } & object) | { readonly ok: false; readonly error: WireError };

export interface CommandRouterDependencies {
  readonly commands: readonly Command[];
  readonly log: Log;
  /** Called before a command runs; throws or rejects to refuse it (limits, modes). If it returns a promise, the command waits for it. */
  readonly admit: (connection: Connection, command: Command) => void | Promise<void>;
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

/** Validates, admits and runs commands, and converts every outcome into an answer. */
export class CommandRouter {
  private readonly commands = new Map<string, { command: Command; fields: readonly string[] }>();
  private readonly byFrame = new Map<string, Command>();

  constructor(private readonly dependencies: CommandRouterDependencies) {
    for (const command of dependencies.commands) {
      const { shape } = command.schema as unknown as { shape?: object };
      this.commands.set(command.name, { command, fields: Object.keys(shape ?? {}) });
      this.byFrame.set(command.frame.type, command);
    }
  }

  /** The command that a frame of `/ws` asks for. */
  commandOfFrame(type: string): Command | undefined {
    return this.byFrame.get(type);
  }

  /** Whether the answer of a command can be large. */
  isExpensive(name: string): boolean {
    return this.commands.get(name)?.command.isExpensive === true;
  }

  /** Never throws and never rejects. */
  async run(connection: Connection, name: string, request: unknown): Promise<Answer> {
    let ran = false;
    try {
      const known = this.commands.get(name);
      if (known === undefined)
        throw new RefusalError('unknown_type', `there is no command ${JSON.stringify(name.slice(0, 50))}`);
      const admitted = this.dependencies.admit(connection, known.command);
      if (admitted !== undefined) await admitted;
      const parsed = known.command.schema.safeParse(request ?? {});
      if (!parsed.success) throw requestError(parsed.error, known.fields);
      ran = true;
      return { ok: true, ...(await known.command.run(connection, parsed.data)) };
    } catch (error) {
      return this.refuse({ connection, name, request, error, ran });
    }
  }

  private refuse(refused: Omit<RefusedCommand, 'code'>): Answer {
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
