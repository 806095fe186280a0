import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { connectClient, emit } from '../support/clients.js';
import { endsWithTests } from '../support/ends-with-tests.js';
import { adaptedProxyFile, proxyPrograms } from '../support/proxies.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

const ids = ['replica-1', 'replica-2'];

for (const { name, files, check, run } of proxyPrograms) {
  describe(`[DEPLOY] ${name}, configured as in docker/proxies/${files[0]}`, () => {
    const replicas: TestReplica[] = [];
    let redis: TestRedis | undefined;
    let proxy: ChildProcess | undefined;
    let directory = '';
    let url = '';
    let output = '';
    /** Connects a client, and says what the cluster knows of its connection. */
    const connectionOf = async (userId: string, options: Parameters<typeof connectClient>[2] = {}) => {
      const client = await connectClient(url, userId, options);
      try {
        for (const replica of replicas.filter((one) => !stopped.includes(one))) {
          const { connections } = await replica.json<{
            connections: { user_id: string; address: string; replica_id: string }[];
          }>('/admin/connections', {
            headers: { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
          });
          const found = connections.find(({ user_id }) => user_id === userId);
          if (found !== undefined) return found;
        }
        throw new Error('no replica knows the connection');
      } finally {
        client.disconnect();
      }
    };
    const stopped: TestReplica[] = [];

    before(async function () {
      this.timeout(90_000);
      directory = mkdtempSync(join(tmpdir(), 'rtc-proxy-'));
      // nginx as root gives its worker another user.
      chmodSync(directory, 0o755);
      redis = await TestRedis.start();
      for (const id of ids)
        replicas.push(
          await TestReplica.start({
            REDIS_URL: redis.url,
            REPLICA_ID: id,
            RTC_LIMITS_UNTRUSTED_FORWARDERS: 'limit',
            RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '500',
          }),
        );
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const ports = replicas.map((replica) => replica.port);
      for (const file of files)
        writeFileSync(join(directory, file), adaptedProxyFile(file, port, ports, directory));
      // Caddy keeps files in the home of its user.
      const options = { cwd: directory, env: { ...process.env, HOME: directory } };
      const [checker, ...checkArguments] = check(directory) ?? [];
      if (checker !== undefined) {
        const checked = spawnSync(checker, checkArguments, { encoding: 'utf8', ...options });
        assert.equal(checked.status, 0, `${checked.stdout}${checked.stderr}${checked.error?.message ?? ''}`);
      }
      const [program, ...programArguments] = run(directory);
      proxy = spawn(program!, programArguments, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
      proxy.once('error', (error) => (output += error.message));
      endsWithTests(proxy);
      for (const stream of [proxy.stdout!, proxy.stderr!])
        stream.on('data', (data: Buffer) => (output += data.toString()));
      await until(
        async () => {
          assert.ok(proxy!.pid !== undefined && proxy!.exitCode === null, `${name}: ${output}`);
          // A replica wants a token. Traefik itself answers 404 until it has read its routes.
          const response = await fetch(`${url}/api/presence`).catch(() => undefined);
          return response?.status === 401;
        },
        'the proxy passes requests on',
        20_000,
      );
    });

    after(async () => {
      proxy?.kill('SIGTERM');
      for (const replica of replicas) await replica.end('SIGKILL');
      await redis?.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    it('lets stock clients in: by WebSocket, by HTTP long-polling, and with the upgrade from one to the other', async () => {
      const subscriber = await connectClient(url, 'sam');
      const received: unknown[] = [];
      try {
        subscriber.on('message', ({ payload }: { payload: unknown }) => received.push(payload));
        assert.equal((await emit(subscriber, 'subscribe', { topics: ['proxied'] })).ok, true);
        for (const transports of [['polling'], ['polling', 'websocket'], ['websocket']]) {
          // With cookies, by which Traefik keeps a client at its replica.
          const client = await connectClient(url, 'ann', { transports, withCredentials: true });
          try {
            if (transports.length === 2)
              await until(() => client.io.engine.transport.name === 'websocket', 'it is upgraded');
            const answer = await emit(client, 'publish', { topic: 'proxied', payload: transports.join() });
            assert.equal(answer.ok, true, JSON.stringify(answer));
          } finally {
            client.disconnect();
          }
        }
        await until(() => received.length === 3, 'three messages');
        assert.deepEqual(received, ['polling', 'polling,websocket', 'websocket']);
      } finally {
        subscriber.disconnect();
      }
    });

    it('passes /ws on', async () => {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${tokenOf('ben')}`);
      try {
        const first = await new Promise<string>((resolve, reject) => {
          socket.once('message', (data: Buffer) => resolve(data.toString()));
          socket.once('error', reject);
        });
        assert.equal(typeof (JSON.parse(first) as { type: string }).type, 'string');
      } finally {
        socket.terminate();
      }
    });

    it('keeps what is for operators to itself', async () => {
      for (const path of ['/admin/cluster', '/metrics', '/health', '/wss', '/'])
        assert.equal((await fetch(url + path)).status, 404, path);
    });

    it('replaces what a client claims to be its address', async () => {
      const { address } = await connectionOf('eve', { extraHeaders: { 'X-Forwarded-For': '203.0.113.9' } });
      assert.equal(address, '127.0.0.1');
    });

    it('sends clients to the other replica when one has stopped', async function () {
      this.timeout(60_000);
      const serving = replicas[ids.indexOf((await connectionOf('dan')).replica_id)]!;
      stopped.push(serving);
      await serving.end();
      // At once: before the proxy has checked whether the replica is ready.
      for (const user of ['dan', 'eva', 'fay', 'gus']) {
        const { replica_id } = await connectionOf(user);
        assert.equal(
          replica_id,
          ids.find((id) => id !== ids[replicas.indexOf(serving)]),
        );
      }
    });
  });
}
