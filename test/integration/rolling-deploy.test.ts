import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { Balancer } from '../support/balancer.js';
import { Closing } from '../support/closing.js';
import { DeployedClient, mostInASecond, problemsOf } from '../../bench/reload/deployed-client.js';
import { DeployedCrowd } from '../support/deployed-crowd.js';
import { sequencesAfter, sequencesOf } from '../support/deploy-outcome.js';
import { MainProcess } from '../support/main-process.js';
import { TestRedis } from '../support/redis.js';
import { secret, tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

describe('[P8] a deploy that replaces replica by replica', function () {
  this.timeout(90_000);
  const closers: (() => unknown)[] = [];
  const closing = <Part>(part: Part, close: (part: Part) => unknown): Part => {
    closers.unshift(() => close(part));
    return part;
  };

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  it('loses and doubles nothing, and keeps the order, for stock clients behind a balancer', async () => {
    const redis = closing(await TestRedis.start(), (server) => server.stop());
    const start = async () => {
      const environment = {
        REDIS_URL: redis.url,
        RTC_SERVER_DRAIN_WINDOW_SECS: '4',
        RTC_SERVER_DRAIN_DELAY_SECS: '1',
      };
      const main = closing(await MainProcess.start(environment), (process) => process.kill());
      await main.hasLogged('Listening');
      return main;
    };
    const old = [await start(), await start()];
    const fresh = [await start(), await start()];
    const balancer = closing(await Balancer.start(old.map(({ port }) => port)), (one) => one.stop());
    const crowd = await DeployedCrowd.start(
      balancer.url,
      { clients: 60, wires: ['websocket', 'websocket', 'polling', 'json'], publishers: 4 },
      closing(new Closing(), (parts) => parts.close()),
    );
    const { clients, publishers } = crowd;
    for (const { port } of fresh) balancer.add(port);
    const handshakesBefore = balancer.handshakesAt.length;
    for (const replica of old) {
      replica.signal('SIGTERM');
      assert.equal(await replica.ended(30_000), 0, replica.output);
      await crowd.isBack(20_000);
    }
    await crowd.finish(20_000);
    const all = await sequencesAfter(clients, publishers);
    for (const [n, client] of clients.entries()) {
      const seen = sequencesOf(client);
      const later = client.recovered.slice(1);
      assert.ok(later.length > 0, `client ${n} was moved`);
      assert.deepEqual(problemsOf(client), [], `client ${n}, ${client.wire}`);
      if (!client.givesPositions) continue;
      // It subscribed before anything was published.
      assert.deepEqual(seen, all, `client ${n}, ${client.wire}`);
      assert.ok(
        later.every((recovered) => recovered === true),
        `client ${n}, ${client.wire}: ${later.join()}`,
      );
    }
    // Each replica had half of the clients; of those, no more than 1.5 times the mean in any second.
    const most = mostInASecond(balancer.handshakesAt.slice(handshakesBefore));
    assert.ok(most <= 60 * 0.5, `${most} handshakes in one second`);
    const drained = old.flatMap((replica) => replica.logged('Drained'));
    assert.equal(drained.length, 2);
    assert.ok(
      drained.every(({ forced }) => forced === 0),
      JSON.stringify(drained),
    );
  });

  it('never reaches the process that drains, where processes share a port', async () => {
    const redis = closing(await TestRedis.start(), (server) => server.stop());
    const port = await freePort();
    const { HOME, PATH } = process.env;
    const program = fork(
      join(root, 'dist', 'test', 'support', 'port-sharers.js'),
      [join(root, 'dist', 'server', 'main.js')],
      {
        env: {
          HOME,
          PATH,
          JWT_SECRET: secret,
          HOST: '127.0.0.1',
          PORT: String(port),
          REDIS_URL: redis.url,
          LOG_LEVEL: 'warn',
          RTC_SERVER_DRAIN_WINDOW_SECS: '3',
        },
        silent: true,
      },
    );
    closing<ChildProcess>(program, (child) => child.kill('SIGKILL'));
    closing<ChildProcess>(program, (child) => child.connected && child.disconnect());
    const reports: string[] = [];
    program.on('message', (text: string) => reports.push(text));
    const ready = () => reports.filter((text) => text.startsWith('ready'));
    for (let n = 1; n <= 2; n++) {
      program.send('start');
      await until(() => ready().length === n, `replica ${n} is ready`, 20_000);
    }
    const url = `http://127.0.0.1:${port}`;
    const clients = Array.from({ length: 20 }, (_, n) =>
      closing(
        new DeployedClient(url, n, n % 2 === 0 ? 'websocket' : 'json', 'news', tokenOf(`user-${n}`)),
        (client) => client.stop(),
      ),
    );
    await until(() => clients.every(({ isReady }) => isReady), 'all are subscribed', 20_000);
    const [first] = ready();
    const pid = first!.split(' ')[1]!;
    program.send(`stop ${pid}`);
    const refused: unknown[] = [];
    while (!reports.includes(`exit ${pid} 0`)) {
      assert.ok(
        !reports.some((text) => text.startsWith('exit')) || reports.includes(`exit ${pid} 0`),
        reports.join(),
      );
      const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, {
        headers: { connection: 'close' },
      }).catch((error: unknown) => ({ status: error }));
      if (response.status !== 200) refused.push(response.status);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Between the signal and the beginning of the drain one may still get there.
    assert.ok(refused.length <= 1, `refused: ${refused.map(String).join()}`);
    await until(() => clients.every(({ isReady }) => isReady), 'all are back', 20_000);
    const moved = clients.filter(({ endsAt }) => endsAt.length > 0);
    assert.ok(moved.length > 0 && moved.length < 20, `${moved.length} were moved`);
    for (const client of moved) assert.equal(client.endsAt.length, 1);
  });
});
