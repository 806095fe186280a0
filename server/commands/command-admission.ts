import type { ControlState } from '../control/control-state.js';
import type { CommandLimiter } from '../limits/command-limiter.js';
import { shuttingDown } from '../protocol/shutting-down.js';
import type { CommandRouterDependencies } from './router.js';

export interface CommandAdmissionDependencies {
  readonly isDraining: () => boolean;
  readonly control: Pick<ControlState, 'checkCommand'>;
  readonly limiter: Pick<CommandLimiter, 'admit'>;
}

/** What a command has to pass before it runs: the replica is not shutting down, operators allow it, and no limit is reached. */
export function commandAdmission({
  isDraining,
  control,
  limiter,
}: CommandAdmissionDependencies): CommandRouterDependencies['admit'] {
  return (connection, command) => {
    if (connection.isMoving === true || isDraining()) throw shuttingDown();
    if (command !== undefined) control.checkCommand(command);
    return limiter.admit(connection);
  };
}
