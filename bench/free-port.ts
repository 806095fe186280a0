import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that systems give to outgoing connections (Linux from 32768, others from 49152): a connection
// of a load client cannot take a port before its server listens, or while its server is being restarted. Above
// 10080, which browsers and fetch refuse.
const lowest = 11_000;
const highest = 31_999;

const given = new Set<number>();

/**
 * A port on which nothing listens. A process is given each port once; at random, so that processes that start servers
 * at the same time hardly ever get the same one.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

/** Whether nothing listens on a port, at any address of this machine. */
export async function isFree(port: number): Promise<boolean> {
  // On all interfaces, as a server may listen.
  const server = createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
