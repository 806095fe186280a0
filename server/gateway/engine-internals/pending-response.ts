import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The response to an earlier request of a connection that is under way, or is the next to be. */
export function pendingResponse(socket: Socket): ServerResponse | undefined {
  return (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}
