/** Paths with this prefix belong to engine.io. */
export const engineIoPath = '/socket.io/';

/** Path of WebSockets with JSON frames. */
export const wsPath = '/ws';
