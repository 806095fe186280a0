import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { keyOf } from '../../limits/address-limiter.js';
import { AddressRate } from '../../limits/address-rate.js';
import type { LimitCounts } from '../../limits/limit-counts.js';
import type { Log } from '../../logging/log.js';
import type { AddressPolicy } from './address-policy.js';
import { UnfinishedHeads } from './unfinished-heads.js';

interface TcpConnectionsDependencies {
  readonly http: HttpServer;
  readonly policy: Pick<AddressPolicy, 'ofPeer'>;
  readonly counts: LimitCounts;
  readonly log: Log;
  /** On the monotonic clock, in milliseconds. */
  readonly now: () => number;
}

interface TcpConnectionsSettings {
  /** TCP connections of one address; 0 for no limit. */
  readonly limitPerAddress: number;
  /** New TCP connections of one address; 0 for no limit. */
  readonly ratePerSec: number;
}

/** TCP connections of one address that have not sent a request yet. */
const silentLimit = 1000;

/**
 * A connection that is closed for its unfinished request counts for this long as one without a request, in milliseconds, as it would have been kept for: otherwise
 * a caller would make new ones all the time, and each costs more than one that is refused.
 */
const closedMs = 10_000;
/** And as so many of these: it has taken 40 KiB and more, and leaves them as garbage. */
const closedWeight = 4;

/** The TCP connections of one address. */
interface Held {
  connections: number;
  /** Those without a request yet, and those that were closed for their unfinished requests a moment ago. */
  silent: number;
}

/**
 * Limits the TCP connections of one address, and their rate, before any request: a connection without a request costs memory and a file descriptor too. Counts
 * those that Node itself drops because of `server.max_tcp_connections`. Proxies are not limited.
 */
export class TcpConnections {
  private readonly byAddress = new Map<string, Held>();
  private readonly silent = new WeakSet<Socket>();
  private readonly heads = new UnfinishedHeads();
  private readonly rate: AddressRate;
  /** Addresses of open connections that are counted. */
  private readonly keys = new WeakMap<Socket, string>();
  private readonly warned = new Set<string>();
  /** The present connection was admitted before Node made a socket of it. */
  private isAdmitted = false;

  constructor(
    private readonly dependencies: TcpConnectionsDependencies,
    private readonly settings: TcpConnectionsSettings,
  ) {
    const { http, now } = dependencies;
    this.rate = new AddressRate({ now }, settings);
    if (settings.limitPerAddress > 0 || settings.ratePerSec > 0) {
      http.on('connection', this.onConnection);
      // Before all others: an upgrade can be answered at once.
      http.prependListener('request', this.onRequest);
      http.prependListener('upgrade', this.onRequest);
    }
    http.on('drop', () => this.refused('server.max_tcp_connections', http.maxConnections));
  }

  /** Calls `pass`, which makes a socket of a connection of this peer, or returns false: it is to be closed. */
  readonly admit = (peer: string, pass: () => void): boolean => {
    const address = this.dependencies.policy.ofPeer(peer);
    if (address !== undefined && this.isOver(address)) return false;
    this.isAdmitted = true;
    try {
      pass();
    } finally {
      this.isAdmitted = false;
    }
    return true;
  };

  /** So many bytes have arrived of a request head, or of trailers; 0 when they are complete. */
  readonly headHeld = (socket: Socket, bytes: number): void => {
    const key = this.keys.get(socket);
    if (key === undefined) return;
    if (bytes === 0) {
      this.heads.delete(socket);
      return;
    }
    const closed = this.heads.grown(socket, key, bytes);
    if (closed === undefined) return;
    this.heads.delete(closed);
    this.cut(closed);
    this.refused('server.max_header_bytes', UnfinishedHeads.addressBytes, this.keys.get(closed));
  };

  /** Closes a connection whose request has not arrived completely. */
  readonly cut = (socket: Socket): void => {
    socket.destroy();
    const key = this.keys.get(socket);
    const held = key === undefined ? undefined : this.byAddress.get(key);
    if (key === undefined || held === undefined) return;
    held.silent += this.silent.delete(socket) ? closedWeight - 1 : closedWeight;
    setTimeout(() => {
      held.silent -= closedWeight;
      this.forget(key, held);
    }, closedMs).unref();
  };

  private readonly onConnection = (socket: Socket): void => {
    // A request without its offer of an upgrade is read again: see `engine-internals/plain-request.ts`.
    if (this.keys.has(socket)) return;
    const address = this.dependencies.policy.ofPeer(socket.remoteAddress ?? '');
    if (address === undefined) return;
    if (!this.isAdmitted && this.isOver(address)) {
      socket.destroy();
      return;
    }
    const key = keyOf(address);
    const held = this.byAddress.get(key) ?? { connections: 0, silent: 0 };
    held.connections++;
    held.silent++;
    this.byAddress.set(key, held);
    this.silent.add(socket);
    this.keys.set(socket, key);
    socket.on('close', this.onClosed);
  };

  /** Whether one more connection is refused. Takes one of the rate otherwise. */
  private isOver(address: string): boolean {
    const exceeded = this.exceeded(keyOf(address));
    if (exceeded === undefined) return false;
    this.refused(...exceeded, address);
    return true;
  }

  /** The setting and the limit that one more connection would exceed. */
  private exceeded(key: string): [setting: string, limit: number] | undefined {
    const { limitPerAddress, ratePerSec } = this.settings;
    if (limitPerAddress === 0 && ratePerSec === 0) return undefined;
    const { connections = 0, silent = 0 } = this.byAddress.get(key) ?? {};
    if (limitPerAddress > 0 && connections >= limitPerAddress)
      return ['websocket.max_connections_per_address', limitPerAddress];
    if (silent >= silentLimit) return ['server.header_timeout_secs', silentLimit];
    return this.rate.take(key) > 0 ? ['limits.address_connects_per_sec', ratePerSec] : undefined;
  }

  private readonly onRequest = ({ socket }: IncomingMessage): void => {
    if (!this.silent.delete(socket)) return;
    this.byAddress.get(this.keys.get(socket)!)!.silent--;
  };

  // One listener shared by all sockets; `this` is the socket.
  private readonly onClosed = ((connections: TcpConnections) =>
    function (this: Socket): void {
      const key = connections.keys.get(this)!;
      const held = connections.byAddress.get(key)!;
      if (connections.silent.delete(this)) held.silent--;
      connections.heads.delete(this);
      held.connections--;
      connections.forget(key, held);
    })(this);

  private forget(key: string, { connections, silent }: Held): void {
    if (connections === 0 && silent === 0) this.byAddress.delete(key);
  }

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
