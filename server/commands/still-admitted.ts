import { RefusalError } from '../../shared/errors.js';
import type { ControlState } from '../control/control-state.js';
import type { Connection } from '../protocol/connection.js';
import type { Identity } from '../protocol/identity.js';
import type { Command } from './command.js';

interface StillAdmittedDependencies {
  readonly control: Pick<ControlState, 'checkCommand'>;
  /** @throws RefusalError `token_revoked` */
  readonly checkRevoked: (identity: Identity) => void;
}

/**
 * What a command that has waited has to pass again. A client that has left by itself may have what it sent before.
 *
 * @throws RefusalError `token_revoked`, `disconnected`, `read_only`
 */
export type StillAdmitted = (
  connection: Connection,
  command: Pick<Command, 'name' | 'refusedIn'> | undefined,
) => void;

/** Makes the check of commands that have waited. */
export function stillAdmitted({ control, checkRevoked }: StillAdmittedDependencies): StillAdmitted {
  return (connection, command) => {
    checkRevoked(connection.identity);
    if (connection.isDismissed === true)
      throw new RefusalError('disconnected', 'the client was disconnected');
    if (command !== undefined) control.checkCommand(command);
  };
}
