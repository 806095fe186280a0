/** Paths with this prefix belong to engine.io. */
export const engineIoPath = '/socket.io/';

/** Namespace of the Socket.IO Admin UI, the one that its page joins. */
export const uiNamespace = '/admin';

/** Path of WebSockets with JSON frames. */
export const wsPath = '/ws';
