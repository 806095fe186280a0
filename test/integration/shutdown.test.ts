import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd, type CrowdSize } from '../support/crowd.js';
import { connectClient, emit } from '../support/clients.js';
import { MainProcess } from '../support/main-process.js';
import { PacketClient } from '../support/packet-client.js';
import { PollingClient } from '../support/polling-client.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { TcpClient } from '../support/tcp-client.js';
import { freePort, until } from '../support/wait.js';

describe('[STOP] a process that is told to stop', function () {
  this.timeout(60_000);
  const closers: (() => unknown)[] = [];
  const closing = <Part>(part: Part, close: (part: Part) => unknown): Part => {
    closers.unshift(() => close(part));
    return part;
  };
  const start = async (environment: NodeJS.ProcessEnv = {}) =>
    closing(await MainProcess.start(environment), (main) => main.kill());

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  /** A crowd in a process of its own, which does nothing any more. */
  const freeze = async (url: string, size: CrowdSize): Promise<void> => {
    const program = join(root, 'dist', 'test', 'support', 'crowd-program.js');
    const child = closing<ChildProcess>(fork(program, [url, JSON.stringify(size)]), (crowd) => {
      crowd.kill('SIGKILL');
    });
    await once(child, 'message');
    child.kill('SIGSTOP');
  };

  it('tells 250 clients, is not held by frozen clients and half-sent requests, and ends with 0 within three seconds', async () => {
    const main = await start();
    await main.hasLogged('Listening');
    const crowd = closing(
      await Crowd.connect(main.url, { json: 100, webSockets: 100, pollings: 50 }),
      (clients) => clients.close(),
    );
    await freeze(main.url, { json: 2, webSockets: 2, pollings: 1 });
    const half = closing(new TcpClient(main.url), (client) => client.reset());
    const headers = `Authorization: Bearer ${tokenOf('half')}\r\nExpect: 100-continue\r\n`;
    half.post('/api/publish', 100, '{"topic"', headers);
    const halfHead = closing(new TcpClient(main.url), (client) => client.reset());
    halfHead.write('POST /api/publish HTTP/1.1\r\nHost:');
    const goOn = 'HTTP/1.1 100 Continue\r\n\r\n';
    await until(() => half.received === goOn, 'the request is in progress');

    main.signal('SIGTERM');
    assert.equal(await main.ended(), 0, main.output);
    await until(() => crowd.ended === 250, 'every client knows');
    assert.deepEqual([...new Set(crowd.closeCodes)], [1012]);
    assert.deepEqual([...new Set(crowd.reasons)], ['transport close']);
    const [stopped] = main.logged('Stopped');
    assert.ok(Number(stopped?.['took_ms']) < 3000, JSON.stringify(stopped));
    assert.match(half.received.slice(goOn.length), /^HTTP\/1\.1 503 .*"code":"shutting_down"/s);
    await until(
      () => [half, halfHead].every(({ ended, closed }) => ended || closed),
      'both connections have ended',
    );
  });

  it('tells a polling client that is between two polls, behind what waits for it and not in one body with that', async () => {
    const main = await start();
    await main.hasLogged('Listening');
    const [idle, joined] = [await PollingClient.open(main.url), await PollingClient.open(main.url)];
    await joined.post(PacketClient.joining('ann'));
    main.signal('SIGTERM');
    await main.hasLogged('Stopping');
    assert.ok((await idle.poll()).includes('1'), 'a close packet');
    const [waiting, last] = [await joined.poll(), await joined.poll()];
    assert.match(waiting[0]!, /^40\{/);
    assert.ok(!waiting.includes('1'), waiting.join());
    assert.ok(last.includes('1'), last.join());
    assert.equal(await main.ended(), 0, main.output);
  });

  it('answers a publisher that waits for confirmations with what is known', async () => {
    const main = await start();
    await main.hasLogged('Listening');
    const deaf = closing(await connectClient(main.url, 'deaf'), (client) => client.disconnect());
    await emit(deaf, 'subscribe', { topics: ['t'] });
    const publisher = closing(await connectClient(main.url, 'pub'), (client) => client.disconnect());
    const request = { topic: 't', payload: 1, confirm: 'delivered', timeout_ms: 60_000 };
    const answer = emit(publisher, 'publish', request);
    // It is not acknowledged.
    await new Promise((resolve) => deaf.once('message', resolve));
    main.signal('SIGTERM');
    const { ok, delivered, expected } = await answer;
    assert.deepEqual([ok, delivered, expected], [true, 0, 1]);
    assert.equal(await main.ended(), 0, main.output);
  });

  it('ends with 0 and without listening while it waits for Redis', async () => {
    // A Redis that accepts and never answers, so that the start takes its whole time.
    const sockets: TcpSocket[] = [];
    const silent = closing<Server>(
      createServer((socket) => void sockets.push(socket.on('error', () => {}))),
      (server) => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    );
    const port = await freePort();
    silent.listen(port, '127.0.0.1');
    const main = await start({ REDIS_URL: `redis://127.0.0.1:${port}` });
    await until(() => sockets.length > 0, 'it connects to Redis');
    main.signal('SIGTERM');
    assert.equal(await main.ended(), 0, main.output);
    assert.equal(main.logged('Stopped').length, 1);
    assert.equal(main.logged('Listening').length, 0);
  });

  it('ends with 0 if that comes while its modules are loaded', async () => {
    // From within, since from outside the moment cannot be told.
    const signalling =
      "const{default:M}=await(import('node:module'));const load=M._load;" +
      "M._load=function(name,...more){if(name==='express'){M._load=load;process.kill(process.pid,'SIGTERM')}return(load.call(this,name,...more))}";
    const main = await start({
      NODE_OPTIONS: `--import "data:text/javascript,${encodeURIComponent(signalling)}"`,
    });
    assert.equal(await main.ended(), 0, main.output);
    assert.equal(main.logged('Stopped').length, 1);
  });

  describe('while Redis stalls', () => {
    let redis: TestRedis;

    beforeEach(async () => (redis = await TestRedis.start()));
    afterEach(() => redis.stop());

    /** A replica with a publish that Redis does not answer. */
    const startStalled = async (environment: NodeJS.ProcessEnv) => {
      const main = await start({ REDIS_URL: redis.url, ...environment });
      await main.hasLogged('Listening');
      const client = closing(await connectClient(main.url, 'ann'), (socket) => socket.disconnect());
      await emit(client, 'publish', { topic: 't', payload: 1 });
      await redis.signal('SIGSTOP');
      const answer = emit(client, 'publish', { topic: 't', payload: 2 }).catch(() => undefined);
      const lost = new Promise<string>((resolve) => client.once('disconnect', resolve));
      return { main, answer, lost };
    };

    it('ends within its time limit, and its clients are told', async () => {
      const { main, lost } = await startStalled({ RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '4000' });
      main.signal('SIGTERM');
      assert.equal(await lost, 'transport close');
      const code = await main.ended();
      const forced = [...main.logged('Stopped by force'), ...main.logged('Ended by force')];
      assert.equal(code, forced.length === 0 ? 0 : 3, main.output);
      assert.equal(forced.length + main.logged('Stopped').length, 1, main.output);
    });

    it('a second signal ends it by force: exit code 3 and a line in the log', async () => {
      const { main } = await startStalled({ RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '30000' });
      main.signal('SIGTERM');
      await main.hasLogged('Stopping');
      // At the same time as the first it would count as the same request.
      await sleep(1100);
      assert.ok(!main.hasEnded, main.output);
      main.signal('SIGINT');
      assert.equal(await main.ended(), 3, main.output);
      assert.deepEqual(
        main.logged('Ended by force').map(({ signal }) => signal),
        ['SIGINT'],
      );
    });
  });
});
