import { HttpWire } from './http-wire.js';
import { JsonWire } from './json-wire.js';
import { SocketIoWire } from './socketio-wire.js';
import type { OpenWire } from './wire.js';

/** Opens a real connection: a stock Socket.IO client, a WebSocket at `/ws`, or requests to `/api`. */
export const openWire: OpenWire = (kind, opening, handlers) => {
  if (kind === 'http') return new HttpWire(opening, handlers);
  return kind === 'json' ? new JsonWire(opening, handlers) : new SocketIoWire(kind, opening, handlers);
};
