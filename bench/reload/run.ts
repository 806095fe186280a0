import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import jwt from 'jsonwebtoken';
import { RedisServer } from '../chaos/processes/redis-server.js';
import { need, waitUntil } from '../chaos/processes/wait.js';
import { freePort } from '../free-port.js';
import { DeployedClient, mostInASecond, problemsOf, type DeployedWire } from './deployed-client.js';
import { DeployedPublisher } from './publisher.js';

/**
 * `pm2 reload` under load: replicas on one port behind PM2, stock clients and `/ws` clients, and publishers. Afterwards what the clients have
 * seen is checked, and how many of them came back in each second.
 */
const { values } = parseArgs({
  options: {
    pm2: { type: 'string' },
    clients: { type: 'string', default: '1000' },
    polling: { type: 'string', default: '0' },
    publishers: { type: 'string', default: '4' },
    topics: { type: 'string', default: '10' },
    rate: { type: 'string', default: '10' },
    replicas: { type: 'string', default: '2' },
    window: { type: 'string', default: '10' },
  },
});
if (values.pm2 === undefined) throw new Error('--pm2: the program of PM2; npm run bench:reload sets it');
const clientCount = Number(values.clients);
const pollingCount = Number(values.polling);
const windowSecs = Number(values.window);
/** No second may have more than 1.5 times the mean. */
const shareLimit = 1.5 / windowSecs;

const root = join(__dirname, '..', '..', '..');
const secret = 'a secret of the bench, of 32 bytes';
const tokenOf = (userId: string) => jwt.sign({ sub: userId, roles: ['user'] }, secret, { expiresIn: 3600 });

async function main(): Promise<boolean> {
  const redis = await RedisServer.start(false);
  const home = mkdtempSync(join(tmpdir(), 'rtc-reload-'));
  const port = await freePort();
  const { HOME, PATH } = process.env;
  const env = {
    HOME,
    PATH,
    PM2_HOME: home,
    PORT: String(port),
    HOST: '127.0.0.1',
    JWT_SECRET: secret,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    REPLICAS: values.replicas,
    LOG_LEVEL: 'info',
    RTC_SERVER_DRAIN_WINDOW_SECS: values.window,
    RTC_TOPICS_HISTORY_SIZE: '100000',
  };
  const pm2 = async (...args: string[]): Promise<string> => {
    const { spawn } = await import('node:child_process');
    const child = spawn(process.execPath, [values.pm2!, ...args], { cwd: root, env });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => (output += data.toString()));
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(`pm2 ${args.join(' ')}: ${output}`);
    return output;
  };
  const clients: DeployedClient[] = [];
  try {
    await pm2('start', 'ecosystem.config.js');
    const url = `http://127.0.0.1:${port}`;
    await need(
      async () => (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok === true,
      'it is ready',
    );
    const topics = Array.from({ length: Number(values.topics) }, (_, n) => `topic-${n}`);
    for (let n = 0; n < clientCount; n++) {
      clients.push(
        new DeployedClient(url, n, wireOf(n), topics[n % topics.length]!, tokenOf(`user-${n}`), n % 5 !== 0),
      );
      if (n % 50 === 49)
        await need(() => clients.every(({ isReady }) => isReady), 'clients are ready', 60_000);
    }
    const publishers = Array.from(
      { length: Number(values.publishers) },
      (_, n) =>
        new DeployedPublisher(url, `publisher-${n}`, tokenOf(`publisher-${n}`), topics, Number(values.rate)),
    );
    await need(
      () => publishers.every(({ acknowledged }) => acknowledged.size === topics.length),
      'all publish',
      60_000,
    );
    const endsBefore = clients.map(({ endsAt }) => endsAt.length);
    const readyBefore = clients.map(({ connectedAt }) => connectedAt.length);
    const startedAt = performance.now();
    await pm2('reload', 'all');
    const tookMs = performance.now() - startedAt;
    const isBack = await waitUntil(() => clients.every(({ isReady }) => isReady), 30_000);
    // Whoever comes back without positions sees what is published from then on: the last message must be one of those.
    const countsOf = () =>
      publishers.flatMap(({ acknowledged }) => topics.map((topic) => acknowledged.get(topic)!.length));
    const countsBefore = countsOf();
    await need(
      () => countsOf().every((count, n) => count >= countsBefore[n]! + 2),
      'all publish to every topic again',
      60_000,
    );
    for (const publisher of publishers) await publisher.finish();
    const acknowledged = new Map(
      topics.map((topic) => [topic, publishers.flatMap((one) => one.acknowledged.get(topic) ?? [])]),
    );
    const lastOf = (topic: string) => Math.max(...acknowledged.get(topic)!);
    const topicOf = (n: number) => topics[n % topics.length]!;
    const hasAll = await waitUntil(
      () => clients.every(({ messages }, n) => messages.at(-1)?.sequence === lastOf(topicOf(n))),
      30_000,
    );
    const log = await pm2('logs', '--nostream', '--raw', '--lines', '100000');
    const drained = [...log.matchAll(/\{"level".*"message":"Drain.*\}/g)].map(([line]) => line);
    const doubled = [...acknowledged.values()].reduce((sum, all) => sum + all.length - new Set(all).size, 0);
    const lost = clients.reduce((sum, { messages, givesPositions }, n) => {
      if (!givesPositions) return sum;
      const seen = new Set(messages.map(({ sequence }) => sequence));
      const first = messages[0]?.sequence ?? 0;
      return (
        sum +
        acknowledged.get(topicOf(n))!.filter((sequence) => sequence >= first && !seen.has(sequence)).length
      );
    }, 0);
    const problems = clients.flatMap((client, n) =>
      problemsOf(client).map((text) => `client ${n}, ${client.wire}: ${text}`),
    );
    const untold = clients.filter(
      ({ givesPositions, recovered }) => givesPositions && recovered.slice(1).some((one) => one !== true),
    );
    const ends = clients.flatMap(({ endsAt }, n) => endsAt.slice(endsBefore[n]));
    const backs = clients.flatMap(({ connectedAt }, n) => connectedAt.slice(readyBefore[n]));
    const most = Math.max(mostInASecond(ends), mostInASecond(backs)) / clientCount;
    const notified = clients.filter(({ notices }) => notices.length > 0).length;
    const total = [...acknowledged.values()].reduce((sum, all) => sum + all.length, 0);
    const offline = clients
      .flatMap(({ connectedAt, endsAt }) => endsAt.map((at, n) => (connectedAt[n + 1] ?? NaN) - at))
      .sort((a, b) => a - b);
    const rows: [string, string, boolean][] = [
      ['clients back', String(clients.filter(({ isReady }) => isReady).length), isBack],
      [
        'clients moved, and notified before',
        `${clients.filter(({ endsAt }, n) => endsAt.length > endsBefore[n]!).length}, ${notified}`,
        true,
      ],
      ['connections ended', String(ends.length), true],
      [
        'time without a connection, median and longest',
        `${quantile(offline, 0.5)} ms, ${quantile(offline, 1)} ms`,
        true,
      ],
      ['most that ended, in one second', share(mostInASecond(ends)), most <= shareLimit],
      ['most that were subscribed again, in one second', share(mostInASecond(backs)), most <= shareLimit],
      ['acknowledged messages', String(total), total > 0],
      ['acknowledged twice at different positions', String(doubled), doubled === 0],
      ['acknowledged and not received, of clients with positions', String(lost), lost === 0 && hasAll],
      ['received twice, out of order, or with a hole', String(problems.length), problems.length === 0],
      [
        'clients with positions that were not told `recovered: true`',
        String(untold.length),
        untold.length === 0,
      ],
    ];
    print(rows, tookMs, drained, problems);
    return rows.every(([, , isRight]) => isRight);
  } finally {
    for (const client of clients) client.stop();
    await pm2('kill').catch((error: unknown) => console.error(error));
    await redis.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** Half of the clients are stock clients on WebSocket, some poll, the others use `/ws`. */
function wireOf(n: number): DeployedWire {
  if (n % 2 === 0) return 'websocket';
  return (n >> 1) % Math.max(1, Math.floor(clientCount / 2)) < pollingCount ? 'polling' : 'json';
}

function share(count: number): string {
  return `${count} (${((100 * count) / clientCount).toFixed(1)} %)`;
}

function quantile(sorted: readonly number[], part: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN);
}

function print(
  rows: readonly (readonly [string, string, boolean])[],
  tookMs: number,
  drained: readonly string[],
  problems: readonly string[],
): void {
  const redisVersion = spawnSync('redis-server', ['--version'])
    .stdout.toString()
    .split(' ')
    .slice(0, 3)
    .join(' ');
  console.log(
    `Machine: ${cpus().length} × ${cpus()[0]!.model}, ${Math.round(totalmem() / 2 ** 30)} GiB. Node ${process.version}. ${redisVersion}.`,
  );
  console.log(
    `\n${values.clients} clients: ${clientCount / 2} socket.io-client on WebSocket, ${pollingCount} on long-polling alone, the others /ws. ` +
      `${values.publishers} publishers, ${values.rate} messages a second each, ${values.topics} topics. ${values.replicas} replicas, drain window ${windowSecs} s.`,
  );
  console.log(
    `\npm2 reload took ${(tookMs / 1000).toFixed(1)} s. A second may have ${(100 * shareLimit).toFixed(0)} % of the clients.\n`,
  );
  console.log('| what | figure | |\n|---|---|---|');
  for (const [what, figure, isRight] of rows)
    console.log(`| ${what} | ${figure} | ${isRight ? 'ok' : '**wrong**'} |`);
  console.log('');
  for (const line of drained) console.log(line);
  for (const text of problems.slice(0, 20)) console.log(text);
}

main().then(
  (isRight) => process.exit(isRight ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
