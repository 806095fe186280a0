import type { Socket } from 'socket.io';
import type { Identity } from '../protocol/identity.js';

/**
 * The user of a socket, as `socket.data.user`, in the main namespace and in those of a program. It is also
 * there on remote sockets (`fetchSockets`), so it holds nothing secret.
 */
export interface SocketUser {
  readonly userId: string;
  readonly roles: readonly string[];
  /** Topic patterns that the token restricts the user to; undefined: only the roles decide. */
  readonly topics?: readonly string[];
  /** When the token expires, in seconds since 1970; undefined if it has no expiry. */
  readonly expiresAt?: number;
}

/** Sets `socket.data.user`. Other data of the program stays. */
export function setSocketUser(socket: Socket, { userId, roles, topics, expiresAt }: Identity): void {
  const user: SocketUser = Object.freeze({
    userId,
    roles,
    ...(topics !== undefined && { topics }),
    ...(expiresAt !== undefined && { expiresAt }),
  });
  const data = socket.data as { user?: SocketUser } | null | undefined;
  // A program may have put anything there.
  if (typeof data === 'object' && data !== null) data.user = user;
  else socket.data = { user };
}
