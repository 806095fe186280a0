import type { Namespace } from 'socket.io';

const ofService = Symbol('namespace of the service');

/** Marks a namespace as one of the service: it is none of the program's own. */
export function markAsService(namespace: Namespace): void {
  Object.assign(namespace, { [ofService]: true });
}

export function isOfService(namespace: Namespace): boolean {
  return (namespace as { [ofService]?: true })[ofService] === true;
}
