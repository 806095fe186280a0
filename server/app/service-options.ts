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
  /**
   * Namespaces of the program that clients may join without a token, by name or expression. All others refuse
   * a client without a valid token.
   */
  readonly publicNamespaces?: readonly (string | RegExp)[];
}
