import type { Server as HttpServer } from 'node:http';
import type { SocketIoOptions } from '../gateway/socketio/socketio-options.js';
import type { Hooks } from '../hooks/hooks.js';
import type { LoggerFactory } from '../logging/logger.js';

/** Parts that an embedding program can provide. */
export interface ServiceOptions {
  readonly logger?: LoggerFactory;
  /** Hooks of the program; see {@link Hooks}. */
  readonly hooks?: Hooks;
  /**
   * The meaning of `auto` in the setting `websocket.slim_connections`: whether idle connections release their
   * handshake and request, which makes them much smaller. Default `false`: an embedding program sees them as
   * in plain Socket.IO.
   */
  readonly slimConnections?: boolean;
  /** The meaning of `auto` in the setting `admin.socket_io_ui`: whether the Socket.IO Admin UI is served. Default `false`. */
  readonly socketIoUi?: boolean;
  /**
   * Namespaces of the program that clients may join without a token, by name or expression. All others refuse
   * a client without a valid token.
   */
  readonly publicNamespaces?: readonly (string | RegExp)[];
  /**
   * The program's own HTTP or HTTPS server. If it has no listener for requests, `service.app` serves them; otherwise the program adds
   * `service.app` to its routes. It keeps its time-outs. `start()` makes it listen unless it listens already, and `close()` closes it.
   * Default: a server of the service.
   */
  readonly http?: HttpServer;
  /**
   * Called when an operator drains this replica by the admin API. The program closes the service with `close({ drain: true })`, and then ends.
   * Default: the service closes so by itself.
   */
  readonly onDrainRequested?: () => void;
  /** Options of Socket.IO. Those that settings of the service decide are refused, with the name of the setting. */
  readonly socketIo?: SocketIoOptions;
}
