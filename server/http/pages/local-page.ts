import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { RefusalError } from '../../../shared/errors.js';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Names that no DNS server can point to this machine. */
const localHost = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** Headers of proxies and tunnels, whose clients are elsewhere. */
const forwardingHeaders = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'cf-connecting-ip',
];

/**
 * Accepts only requests that the service's own page has sent, in a browser on this machine.
 *
 * - Other machines, also behind a proxy or tunnel on this one, are refused by their address and headers.
 * - A stranger's site whose name was pointed to this machine (DNS rebinding) is refused by `Host`.
 * - A page of any other origin, another port of this machine included, is refused by `Origin`, which browsers send with every POST.
 *
 * @throws RefusalError `forbidden`
 */
export function requireLocalPage({ headers, socket }: IncomingMessage): void {
  const { remoteAddress = '' } = socket;
  const isLocal =
    remoteAddress !== '' && loopback.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4');
  if (!isLocal) throw forbidden('a browser on the machine of the service', 'this one is on another machine');
  const forwarding = forwardingHeaders.find((name) => headers[name] !== undefined);
  if (forwarding !== undefined)
    throw forbidden('a browser on the machine of the service', `a proxy has added ${forwarding}`);
  const { host = '', origin } = headers;
  if (!localHost.test(host))
    throw forbidden('the address localhost or 127.0.0.1', 'it was opened by another');
  if (origin?.toLowerCase() !== `http://${host.toLowerCase()}`)
    throw forbidden('the page of this service', 'the request has another origin, or none');
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin')
    throw forbidden('the page of this service', `the request is ${String(site).slice(0, 20)}`);
}

function forbidden(needed: string, present: string): RefusalError {
  return new RefusalError('forbidden', `the token for trying is only for ${needed}: ${present}`);
}
