import { isIP } from 'node:net';

/** `1.2.3.4:5678`, and IPv6 in brackets with or without a port. */
const withPort = /^(?:\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5})$/;

/**
 * The address in one item of `X-Forwarded-For`; undefined if there is none. Azure Application Gateway and IIS write the port too; some proxies
 * write quotes, as `Forwarded` has them.
 */
export function forwardedAddress(item: string): string | undefined {
  const bare = item.replace(/^"(.*)"$/, '$1').trim();
  const [, inBrackets, beforePort] = withPort.exec(bare) ?? [];
  // The zone of an IPv6 address means something on the proxy alone.
  const [address = ''] = (inBrackets ?? beforePort ?? bare).split('%');
  return isIP(address) === 0 ? undefined : address;
}
