import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { hasGone, judgeAccepted } from '../../../server/gateway/engine-internals/accepted-connections.js';
import { readInTurns } from '../../../server/gateway/engine-internals/new-connections.js';
import { resetBeforeAccepted } from '../../support/reset-before-accepted.js';
import { until } from '../../support/wait.js';

describe('[LIMITS] an accepted connection', function () {
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

  /** Admits all. */
  const admit = (_peer: string, pass: () => void) => {
    pass();
    return true;
  };

  for (const when of ['before', 'after'] as const)
    it(`that was reset before costs no socket and no request, if the server listens ${when} the service is attached`, async () => {
      let ended = 0;
      if (when === 'before') await listen();
      judgeAccepted(http, { admit, closed: () => ended++ });
      if (when === 'after') await listen();
      for (let n = 0; n < 3; n++) resetBeforeAccepted(portOf());
      assert.equal(ended, 0);
      // Behind them in the queue.
      assert.equal((await fetch(`http://127.0.0.1:${portOf()}`)).status, 200);
      assert.deepEqual([ended, sockets.length, requests], [3, 1, 1]);
    });

  it('that is refused by its address costs no socket either', async () => {
    const peers: string[] = [];
    let ended = 0;
    judgeAccepted(http, {
      admit: (peer, pass) => {
        peers.push(peer);
        return peers.length !== 2 && admit(peer, pass);
      },
      closed: () => ended++,
    });
    await listen();
    for (const isAdmitted of [true, false, true]) {
      const asked = fetch(`http://127.0.0.1:${portOf()}`, { headers: { connection: 'close' } });
      if (isAdmitted) assert.equal((await asked).status, 200);
      else await assert.rejects(asked);
    }
    assert.deepEqual([peers, ended, sockets.length, requests], [Array(3).fill('127.0.0.1'), 1, 2, 2]);
  });

  it('that is reset while it waits to be read is not read', async () => {
    const waiting: (() => void)[] = [];
    readInTurns(http, { closed() {}, attached() {}, run: (_socket, begin) => waiting.push(begin) });
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
