import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { endGoneClients, hasGone } from '../../../server/gateway/engine-internals/gone-clients.js';
import { readInTurns } from '../../../server/gateway/engine-internals/new-connections.js';
import { resetBeforeAccepted } from '../../support/reset-before-accepted.js';
import { until } from '../../support/wait.js';

describe('[LIMITS] a client that resets its connection', function () {
  let http: Server;
  let requests: number;
  let sockets: Socket[];
  beforeEach(() => {
    requests = 0;
    sockets = [];
    http = createServer((_request, response) => {
      requests++;
      response.end();
    });
    http.on('connection', (socket: Socket) => sockets.push(socket));
  });
  afterEach(() => void http.close());
  const portOf = () => (http.address() as AddressInfo).port;
  const listen = async () => {
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
  };

  for (const when of ['before', 'after'] as const)
    it(`before it is accepted costs no socket and no request, if the server listens ${when} the service is attached`, async () => {
      let ended = 0;
      if (when === 'before') await listen();
      endGoneClients(http, () => ended++);
      if (when === 'after') await listen();
      for (let n = 0; n < 3; n++) resetBeforeAccepted(portOf());
      assert.equal(ended, 0);
      // Behind them in the queue.
      assert.equal((await fetch(`http://127.0.0.1:${portOf()}`)).status, 200);
      assert.deepEqual([ended, sockets.length, requests], [3, 1, 1]);
    });

  it('while it waits to be read is not read', async () => {
    const waiting: (() => void)[] = [];
    readInTurns(http, { closed: () => {}, run: (_socket, begin) => waiting.push(begin) });
    await listen();
    const gone = connect(portOf(), '127.0.0.1');
    const here = connect(portOf(), '127.0.0.1');
    for (const socket of [gone, here]) socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => waiting.length === 2, 'both are accepted');
    gone.resetAndDestroy();
    await until(() => sockets.filter(hasGone).length === 1, 'one has gone');
    const [its] = sockets.filter(hasGone);
    const closed = once(its!, 'close');
    for (const begin of waiting) begin();
    await Promise.all([closed, once(here, 'data')]);
    assert.equal(requests, 1);
    here.destroy();
  });
});
