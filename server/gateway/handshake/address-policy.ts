import type { IncomingMessage } from 'node:http';
import { keyOf } from '../../limits/address-limiter.js';
import type { Log } from '../../logging/log.js';
import type { ClientAddresses } from './client-addresses.js';

interface AddressPolicyDependencies {
  readonly addresses: ClientAddresses;
  readonly log: Log;
}

interface AddressPolicySettings {
  /** Loopback is exempt: all clients of a developer come from there. */
  readonly exemptsLoopback: boolean;
  /** Whether peers are exempt that send `X-Forwarded-For` without being trusted: probably a proxy, which many users share. */
  readonly exemptsForwarders: boolean;
}

/** Untrusted forwarders that are remembered; past this number the oldest is forgotten. */
const forwarderLimit = 1000;

const loopback = /^(?:127\.|::1$)/;

/** Decides by which address a client is limited, and who is not limited by address. */
export class AddressPolicy {
  /** Peers that have sent `X-Forwarded-For` without being trusted. */
  private readonly forwarders = new Set<string>();
  private isWarned = false;

  constructor(
    private readonly dependencies: AddressPolicyDependencies,
    private readonly settings: AddressPolicySettings,
  ) {}

  /** The address by which the sender of a request is limited, of IPv6 its /64; undefined: by none. */
  readonly of = (request: IncomingMessage): string | undefined => {
    const { addresses } = this.dependencies;
    const address = addresses.of(request);
    // The client has gone: it has no address any more.
    if (address === '' || this.isExemptLoopback(address)) return undefined;
    if (request.headers['x-forwarded-for'] !== undefined && !addresses.isTrusted(peerOf(request))) {
      this.noteForwarder(address);
      if (this.settings.exemptsForwarders) return undefined;
    }
    return keyOf(address);
  };

  /** The address by which a TCP connection is limited, before any request; undefined: by none. */
  ofPeer(peer: string): string | undefined {
    const { addresses } = this.dependencies;
    const address = addresses.plain(peer);
    if (address === '' || this.isExemptLoopback(address) || addresses.isTrusted(address)) return undefined;
    return this.settings.exemptsForwarders && this.forwarders.has(address) ? undefined : address;
  }

  private isExemptLoopback(address: string): boolean {
    return this.settings.exemptsLoopback && loopback.test(address);
  }

  private noteForwarder(address: string): void {
    this.forwarders.delete(address);
    this.forwarders.add(address);
    for (const oldest of this.forwarders) {
      if (this.forwarders.size <= forwarderLimit) break;
      this.forwarders.delete(oldest);
    }
    if (this.isWarned) return;
    this.isWarned = true;
    const effect = this.settings.exemptsForwarders
      ? 'the limits of addresses do not apply to it'
      : 'all its clients count as one address';
    this.dependencies.log.warn(
      `A peer sends X-Forwarded-For and is not a trusted proxy: ${effect}. If it is your proxy, set server.trusted_proxies`,
      { peer: address, setting: 'server.trusted_proxies' },
    );
  }
}

function peerOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}
