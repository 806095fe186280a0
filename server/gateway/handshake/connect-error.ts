import { toWireError } from '../../../shared/errors.js';

/** An error that Socket.IO sends as `connect_error`, with the error object of the wire as `data`. */
export function connectError(error: unknown): Error & { data: unknown } {
  const wire = toWireError(error);
  return Object.assign(new Error(wire.message), { data: wire });
}
