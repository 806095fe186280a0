import { isIP } from 'node:net';

/** Names for networks that proxies are often in (RFC 1122, 1918, 4193). */
export const proxyNetworks: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** Whether a text is an address, a network, or one of the names of {@link proxyNetworks}. */
export function isProxyNetwork(text: string): boolean {
  if (Object.hasOwn(proxyNetworks, text)) return true;
  const [address = '', bits, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
