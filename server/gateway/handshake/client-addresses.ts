import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net';
import { proxyNetworks } from '../../config/proxies.js';
import type { Log } from '../../logging/log.js';
import { ownText } from '../../primitives/own-text.js';
import { forwardedAddress } from './forwarded-address.js';

/**
 * Finds the address of the client of a request. It is the TCP peer, or, if that is a trusted proxy, the last
 * address in its `X-Forwarded-For` that is not a trusted proxy. Header values from other peers are ignored.
 * IPv4 addresses in IPv6 notation count as IPv4.
 */
export class ClientAddresses {
  private readonly trusted = new BlockList();
  private isWarned = false;

  /** @param trustedProxies addresses, networks (`10.0.0.0/8`), and the names of {@link proxyNetworks} */
  constructor(
    trustedProxies: readonly string[],
    private readonly log: Pick<Log, 'warn'>,
  ) {
    for (const network of trustedProxies.flatMap((name) => proxyNetworks[name] ?? [name])) {
      const [address = '', bits] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (bits === undefined) this.trusted.addAddress(address, family);
      else this.trusted.addSubnet(address, Number(bits), family);
    }
  }

  readonly of = (request: IncomingMessage): string => {
    let address = plain(request.socket.remoteAddress ?? '');
    const forwarded = request.headers['x-forwarded-for'];
    if (forwarded === undefined || !this.isTrusted(address)) return address;
    const hops = (typeof forwarded === 'string' ? forwarded : forwarded.join(',')).split(',');
    for (const hop of hops.reverse()) {
      const text = hop.trim();
      // Some proxies write an empty item where they know no address.
      if (text === '') continue;
      const next = forwardedAddress(text);
      if (next === undefined) {
        this.warnOf(text, address);
        break;
      }
      address = plain(next);
      if (!this.isTrusted(address)) break;
    }
    // It is kept as long as the connection, and clients may have written the rest of the header.
    return ownText(address);
  };

  /** Whether this is the address of a trusted proxy. */
  readonly isTrusted = (address: string): boolean =>
    isIP(plain(address)) !== 0 &&
    this.trusted.check(plain(address), isIPv6(plain(address)) ? 'ipv6' : 'ipv4');

  /** An address without its IPv6 notation, if it is an IPv4 address. */
  plain(address: string): string {
    return plain(address);
  }

  private warnOf(item: string, proxy: string): void {
    if (this.isWarned) return;
    this.isWarned = true;
    this.log.warn(
      'A trusted proxy sends X-Forwarded-For with something that is no address: all such clients count as the proxy. Let the proxy write the address of its client there',
      { item: item.slice(0, 100), proxy, setting: 'server.trusted_proxies' },
    );
  }
}

/** The one form of an address, by which a client is counted. An IPv4 address in IPv6 notation becomes IPv4. */
function plain(address: string): string {
  if (!isIPv6(address)) return address;
  const { address: canonical } = new SocketAddress({ address: address.split('%', 1)[0]!, family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(canonical)?.[1] ?? canonical;
}
