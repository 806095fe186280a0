import type { ServerOptions } from 'socket.io';

/** Options of Socket.IO that the service decides, each with what decides it. */
const decided = {
  path: 'the protocol of the service',
  parser: 'the protocol of the service',
  wsEngine: 'the protocol of the service',
  allowEIO3: 'the protocol of the service',
  adapter: 'the setting redis.url',
  connectionStateRecovery: 'sessions of the service, see the settings sessions.*',
  allowRequest: 'the setting websocket.allowed_origins, and the hook onConnect',
  destroyUpgrade: 'the service, which closes upgrades that nobody answers',
  destroyUpgradeTimeout: 'the service, which closes upgrades that nobody answers',
  maxHttpBufferSize: 'the setting websocket.transport_limit_bytes',
  pingInterval: 'the setting websocket.heartbeat_interval_secs',
  pingTimeout: 'the setting websocket.client_timeout_secs',
  connectTimeout: 'the setting websocket.connect_timeout_secs',
} as const satisfies Partial<Record<keyof ServerOptions, string>>;

/** Options of Socket.IO that a program can set: `cors`, `cookie`, `transports`, `serveClient`, compression and others. */
export type SocketIoOptions = Omit<Partial<ServerOptions>, keyof typeof decided>;

/** @throws TypeError for an option that the service decides */
export function checkSocketIoOptions(options: SocketIoOptions): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(decided, name))
      throw new TypeError(`socketIo.${name}: is decided by ${decided[name as keyof typeof decided]}`);
  }
}
