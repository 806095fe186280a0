import { RefusalError } from '../../shared/errors.js';
import type { ControlState } from '../control/control-state.js';
import type { CommandLimiter } from '../limits/command-limiter.js';
import type { CommandRouterDependencies } from './router.js';

export interface CommandAdmissionDependencies {
  readonly isDraining: () => boolean;
  readonly control: Pick<ControlState, 'checkCommand'>;
  readonly limiter: Pick<CommandLimiter, 'admit'>;
}

/** Clients come back to another replica after this, in milliseconds. */
const drainingRetryMs = 1000;

/** What a command has to pass before it runs: the replica is not shutting down, operators allow it, and no limit is reached. */
export function commandAdmission({
  isDraining,
  control,
  limiter,
}: CommandAdmissionDependencies): CommandRouterDependencies['admit'] {
  return (connection, command) => {
    if (isDraining()) {
      throw new RefusalError('shutting_down', 'the replica is shutting down', {
        retryAfterMs: drainingRetryMs,
      });
    }
    if (command !== undefined) control.checkCommand(command);
    return limiter.admit(connection);
  };
}
