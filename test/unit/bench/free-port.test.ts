import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { freePort, isFree } from '../../../bench/free-port.js';

describe('freePort', () => {
  it('gives each port once, and none that an outgoing connection may take', async () => {
    const ports = new Set<number>();
    for (let n = 0; n < 500; n++) ports.add(await freePort());
    assert.equal(ports.size, 500);
    for (const port of ports) assert.ok(port > 10_080 && port < 32_768, `${port}`);
  });

  it('knows a port on which something listens, if only at one address', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.equal(await isFree(port), false);
    server.close();
    await once(server, 'close');
    assert.equal(await isFree(port), true);
  });
});
