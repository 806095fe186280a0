import { SettingsError } from '../config/load.js';
import { UnsupportedStoreError } from '../storage/storage.js';

/** An error of Node where it cannot listen. */
type ListenError = NodeJS.ErrnoException & { readonly port?: number; readonly address?: string };

/** What keeps the service from starting: one line where an operator can mend it, else with the stack. */
export function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof SettingsError || error instanceof UnsupportedStoreError) return error.message;
  const { code, port, address, stack, message } = error as ListenError;
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} is in use by another program: set PORT to a free one`;
    case 'EACCES':
      return `port ${port} may not be used by this user: set PORT to one above 1023`;
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `this machine does not have the address ${address}: set HOST to one of its own, or to 0.0.0.0`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name in HOST is not known (${message}): set HOST to an address of this machine, or to 0.0.0.0`;
    default:
      return stack ?? message;
  }
}
