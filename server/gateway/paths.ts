/** Requests whose address begins with this are engine.io's. */
export const engineIoPath = '/socket.io/';

/** WebSockets with JSON frames. */
export const wsPath = '/ws';
