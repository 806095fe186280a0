import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'socket.io-client';
import { settingList } from '../../server/config/setting-list.js';
import { loadSettings } from '../../server/config/load.js';
import { metricTable } from '../../server/metrics/metric-table.js';
import { ok, type Json } from '../support/admin.js';
import { connectClient } from '../support/clients.js';
import { CommandRunner, readBlocks } from '../support/documented-commands.js';
import { TestRedis } from '../support/redis.js';
import { secret, TestReplica, tokenOf } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';
import { root } from '../support/root.js';

const page = readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8');
const blocks = readBlocks(page);
const preambles = blocks.filter(({ mark }) => mark === 'preamble');
/** Time limit of one block, in milliseconds. */
const limitMs = 45_000;

/**
 * The emergency script of the guide, unchanged; its address is replaced by `URL`, and each call gets the
 * token.
 */
const guideScript = `#!/bin/bash
# emergency-mode.sh

# Enable read-only mode
curl -X POST http://localhost:8081/admin/emergency-mode \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -d '{"mode": "read_only"}'

# Disable new connections
curl -X POST http://localhost:8081/admin/connections/disable-new

# Increase rate limits temporarily
curl -X PUT http://localhost:8081/admin/config/rate-limits \\
  -d '{"connection_rps": 10, "user_rps": 50}'

# Send system notification
curl -X POST http://localhost:8081/admin/broadcast \\
  -d '{
    "type": "SystemNotification",
    "data": {
      "level": "warning",
      "message": "Service operating in degraded mode. Some features may be unavailable."
    }
  }'
`;

/** The queries of the guide, unchanged. */
const guideQueries = {
  errors: `jq 'select(.level == "ERROR" and .target == "realtime_communication::connection")' logs.json`,
  connection: `jq 'select(.connection_id == "550e8400-e29b-41d4-a716-446655440000")' logs.json`,
  routing: `jq 'select(.message == "Message routed") | {
  message_id: .message_id,
  targets: .target_count,
  duration: .duration_ms
}' logs.json | jq -s 'group_by(.targets) | map({
  targets: .[0].targets,
  count: length,
  avg_duration: (map(.duration) | add / length)
})'`,
};

describe('[OPS] docs/troubleshooting.md, executed with two replicas', function () {
  this.timeout(limitMs + 15_000);
  const directory = mkdtempSync(join(tmpdir(), 'rtc-operator-'));
  const sockets: Socket[] = [];
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;
  let runner: CommandRunner;
  let environment: NodeJS.ProcessEnv;
  let traffic: NodeJS.Timeout;

  const runnerWith = (more: NodeJS.ProcessEnv, preamble = preambles[0]?.code ?? '') =>
    new CommandRunner({ directory, environment: { ...environment, ...more }, preamble, limitMs });

  before(async () => {
    redis = await TestRedis.start();
    // The filter of the guide, and the events that it should log.
    const shared = {
      REDIS_URL: redis.url,
      LOG_LEVEL: '',
      RUST_LOG: 'realtime_communication=debug,actix_web=debug,actix_ws=debug',
    };
    const logTo = (name: string) => (data: Buffer) => appendFileSync(join(directory, name), data);
    a = await TestReplica.start({ ...shared, REPLICA_ID: 'a' }, logTo('logs.json'));
    b = await TestReplica.start({ ...shared, REPLICA_ID: 'b' }, logTo('other.json'));
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    const { PATH } = process.env;
    environment = {
      PATH,
      HOME: directory,
      SERVICE_DIR: root,
      RTC: a.url,
      OTHER: b.url,
      LOG: 'logs.json',
      JWT_SECRET: secret,
      REDIS_URL: redis.url,
      HOST: '127.0.0.1',
      NEW_PORT: String(await freePort()),
      PROFILE_SECS: '4',
      WATCH_SECS: '3',
    };
    runner = runnerWith({ TOKEN: tokenOf('probe'), ADMIN_TOKEN: tokenOf('olga', { roles: ['admin'] }) });

    const publisher = await connectClient(a.url, 'ann');
    const reader = await connectClient(b.url, 'bob');
    sockets.push(publisher, reader);
    for (const socket of sockets) await socket.emitWithAck('subscribe', { topics: ['news'] });
    traffic = setInterval(
      () => publisher.emit('publish', { topic: 'news', payload: { at: Date.now() } }),
      100,
    );
    const left = await connectClient(a.url, 'carl');
    left.disconnect();
  });

  after(async () => {
    clearInterval(traffic);
    for (const socket of sockets) socket.disconnect();
    await Promise.all([a?.end('SIGKILL'), b?.end('SIGKILL')]);
    await redis?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('begins with a block that defines what all others need', async () => {
    assert.equal(preambles.length, 1);
    assert.equal(blocks[0], preambles[0]);
    const { code, output } = await runnerWith({}).bash(
      `${preambles[0]!.code}\nrtc decode "$ADMIN_TOKEN"; rtc decode "$TOKEN"`,
    );
    assert.equal(code, 0, output);
    assert.match(output, /"operator"[\s\S]*"admin"[\s\S]*"probe"/);
  });

  for (const block of blocks) {
    const { mark } = block;
    if (mark === 'preamble' || 'notRun' in mark) continue;
    const about = block.code.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#'));
    it(`${block.section} (line ${block.line}): ${about?.slice(0, 70)}`, () =>
      runner.check(block, mark.expected));
  }

  describe('the commands of the guide', () => {
    it('the emergency script works unchanged, with the token on each call, on both replicas', async () => {
      const received: Record<string, unknown>[] = [];
      for (const socket of sockets)
        socket.on('system_notification', (notice: Record<string, unknown>) => received.push(notice));
      // Options for curl as in a user's own file, so that the script stays unchanged.
      writeFileSync(join(directory, '.curlrc'), 'silent\nwrite-out = "\\nstatus %{http_code}\\n"\n');
      const script = guideScript
        .replaceAll('http://localhost:8081', a.url)
        .replace(/^curl .*\/admin\/(?!emergency-mode)\S*/gm, '$& -H "Authorization: Bearer $ADMIN_TOKEN"');
      try {
        const { code, output } = await runnerWith(
          { ADMIN_TOKEN: tokenOf('olga', { roles: ['admin'] }) },
          '',
        ).bash(script);
        assert.equal(code, 0, output);
        assert.deepEqual(output.match(/status \d+/g), Array(4).fill('status 200'), output);
        for (const replica of [a, b]) {
          await until(
            async () => {
              const { mode, accepts_connections, rate_limits } = await replica.json<Json>('/health');
              return (
                mode === 'read_only' &&
                accepts_connections === false &&
                rate_limits.connection_rps === 10 &&
                rate_limits.user_rps === 50
              );
            },
            'the switches are on',
            1000,
          );
          const refused = await fetch(`${replica.url}/socket.io/?EIO=4&transport=polling`);
          assert.equal(refused.status, 503);
        }
        const ofHand = () => received.filter(({ message }) => String(message).includes('degraded mode'));
        await until(() => ofHand().length === 2, 'clients of both replicas are notified');
        assert.deepEqual(new Set(ofHand().map(({ level }) => level)), new Set(['warning']));
      } finally {
        rmSync(join(directory, '.curlrc'));
        await ok(b, 'POST', '/emergency-mode', { mode: 'normal' });
        await ok(b, 'POST', '/connections/enable-new');
        await ok(b, 'DELETE', '/config/rate-limits');
      }
    });

    const jq = async (query: string): Promise<string> => {
      const { code, output } = await runnerWith({}, '').bash(query);
      assert.equal(code, 0, output);
      return output;
    };

    it('the query for errors of connections finds the refused ones', async () => {
      assert.match(await jq(guideQueries.errors), /"message": "Connection refused"/);
    });

    it('the query for a connection finds its lines by id', async () => {
      assert.equal(await jq(guideQueries.connection), '');
      const ours = guideQueries.connection.replace('550e8400-e29b-41d4-a716-446655440000', sockets[0]!.id!);
      const output = await jq(ours);
      for (const message of ['Connection opened', 'Message routed'])
        assert.match(output, new RegExp(message));
    });

    it('the query for routing counts messages and averages their times', async () => {
      const rows = JSON.parse(await jq(guideQueries.routing)) as Record<string, number>[];
      const toBoth = rows.find(({ targets }) => targets === 2);
      assert.ok(toBoth !== undefined && toBoth['count']! > 10, JSON.stringify(rows));
      assert.ok(toBoth['avg_duration']! > 0);
    });
  });

  it('names only existing settings and metrics', async () => {
    const settings = settingList.map(({ name }) => name);
    const sections = [...new Set(settingList.map(({ section }) => section))].join('|');
    const fields = Object.entries(await a.json<Json>('/metrics')).flatMap(([section, value]) =>
      Object.keys(value as object).map((key) => `${section}.${key}`),
    );
    const health = Object.keys((await a.json<Json>('/health'))['redis'] as object).map(
      (key) => `redis.${key}`,
    );
    const known = new Set([...settings, ...fields, ...health]);
    const metricSections = Object.keys(await a.json<Json>('/metrics')).join('|');
    const pattern = new RegExp(`\`((?:${sections}|${metricSections})\\.[a-z0-9_]+)\``, 'g');
    const named = [...page.matchAll(pattern)].map(([, name]) => name!);
    assert.ok(named.length > 20);
    // Codes are missing in `refused` until they occur.
    assert.deepEqual(
      named.filter((name) => !known.has(name) && !name.startsWith('refused.')),
      [],
    );
    const metrics = new Set(metricTable.map(({ name }) => name));
    assert.deepEqual(
      [...page.matchAll(/\brtc_\w+/g)].filter(([name]) => !metrics.has(name)),
      [],
    );
  });

  it('leaves a log without bugs', () => {
    const bugs =
      /"message":"(Uncaught exception|Unhandled rejection|Command failed|Request failed|Admin request failed|Frame failed)"/;
    for (const { output } of [a, b]) assert.doesNotMatch(output, bugs);
  });
});

describe('[OPS] docs/troubleshooting.md', () => {
  it('has settings that the service accepts', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'rtc-settings-')), 'rtc.toml');
    const tomls = [...page.matchAll(/```toml\n([\s\S]*?)```/g)].map(([, text]) => text!);
    assert.ok(tomls.length >= 3);
    for (const text of tomls) {
      writeFileSync(file, text);
      loadSettings({}, file);
    }
    rmSync(join(file, '..'), { recursive: true });
  });

  it('links to existing sections and files', () => {
    const anchors = new Set(
      [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const [, target] of page.matchAll(/\]\(([^)]+)\)/g)) {
      if (target!.startsWith('#')) assert.ok(anchors.has(target!.slice(1)), target);
      else readFileSync(join(root, 'docs', target!.split('#')[0]!));
    }
  });
});
