import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { keyOf } from '../../limits/address-limiter.js';
import type { LimitCounts } from '../../limits/limit-counts.js';
import type { Log } from '../../logging/log.js';
import type { AddressPolicy } from './address-policy.js';

interface TcpConnectionsDependencies {
  readonly http: HttpServer;
  readonly policy: Pick<AddressPolicy, 'ofPeer'>;
  readonly counts: LimitCounts;
  readonly log: Log;
}

interface TcpConnectionsSettings {
  /** TCP connections of one address; 0 for no limit. */
  readonly limitPerAddress: number;
}

/**
 * Limits the TCP connections of one address, before any request: a connection without a request costs memory and a file descriptor too. Counts
 * those that Node itself drops because of `server.max_tcp_connections`. Proxies are not limited.
 */
export class TcpConnections {
  private readonly byAddress = new Map<string, number>();
  /** Addresses of open connections that are counted. */
  private readonly keys = new WeakMap<Socket, string>();
  private readonly warned = new Set<string>();

  constructor(
    private readonly dependencies: TcpConnectionsDependencies,
    private readonly settings: TcpConnectionsSettings,
  ) {
    const { http } = dependencies;
    if (settings.limitPerAddress > 0) http.on('connection', this.onConnection);
    http.on('drop', () => this.refused('server.max_tcp_connections', http.maxConnections));
  }

  private readonly onConnection = (socket: Socket): void => {
    // A request without its offer of an upgrade is read again: see `engine-internals/plain-request.ts`.
    if (this.keys.has(socket)) return;
    const address = this.dependencies.policy.ofPeer(socket.remoteAddress ?? '');
    if (address === undefined) return;
    const key = keyOf(address);
    const held = this.byAddress.get(key) ?? 0;
    const { limitPerAddress } = this.settings;
    if (held >= limitPerAddress) {
      this.refused('websocket.max_connections_per_address', limitPerAddress, address);
      socket.destroy();
      return;
    }
    this.byAddress.set(key, held + 1);
    this.keys.set(socket, key);
    socket.on('close', this.onClosed);
  };

  // One listener shared by all sockets; `this` is the socket.
  private readonly onClosed = ((connections: TcpConnections) =>
    function (this: Socket): void {
      const key = connections.keys.get(this)!;
      const rest = (connections.byAddress.get(key) ?? 0) - 1;
      if (rest > 0) connections.byAddress.set(key, rest);
      else connections.byAddress.delete(key);
    })(this);

  /** The log says it once for each setting; the counter goes on. */
  private refused(setting: string, limit: number, address?: string): void {
    const { counts, log } = this.dependencies;
    counts.tcp++;
    if (this.warned.has(setting)) return;
    this.warned.add(setting);
    log.warn('TCP connections are closed: too many', {
      setting,
      limit,
      ...(address !== undefined && { address }),
    });
  }
}
