import { JsonWire } from './json-wire.js';
import { SocketIoWire } from './socketio-wire.js';
import type { OpenWire } from './wire.js';

/** Opens a real connection: a stock Socket.IO client, or a WebSocket at `/ws`. */
export const openWire: OpenWire = (kind, opening, handlers) =>
  kind === 'json' ? new JsonWire(opening, handlers) : new SocketIoWire(kind, opening, handlers);
