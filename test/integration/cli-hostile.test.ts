import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { connectClient, emit } from '../support/clients.js';
import { TestReplica } from '../support/replica.js';
import { rtc, rtcEnvironment, rtcProgram, RtcProcess, scratch, validJson } from '../support/rtc.js';
import { until } from '../support/wait.js';

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** Something that is not the service. */
class Stranger {
  private readonly server = createServer((request, response) => this.answer(request, response));
  private readonly webSockets = new WebSocketServer({ server: this.server });
  answer: Answering = (_request, response) => response.end('{}');
  /** What it sends to each WebSocket. */
  greeting = 'no JSON';

  static async start(): Promise<Stranger> {
    const stranger = new Stranger();
    stranger.webSockets.on('connection', (socket) => socket.send(stranger.greeting));
    await new Promise<void>((resolve) => stranger.server.listen(0, '127.0.0.1', resolve));
    return stranger;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const client of this.webSockets.clients) client.terminate();
    this.server.closeAllConnections();
    this.server.close();
  }
}

const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;
const someId = '7b4c1a3e-6a5d-4c0c-9b0e-2d0a1f0e9c11';
const commands = [
  ['topics'],
  ['connections'],
  ['history', 'news'],
  ['trace', someId],
  ['why', someId, '--user', 'ann'],
  ['publish', 'news', '1'],
  ['emergency', 'status'],
  ['top', '--json', '--count', '1'],
  ['tail', 'news'],
];

describe('[CLI] rtc, where something else answers', function () {
  this.timeout(120_000);
  let stranger: Stranger;
  before(async () => (stranger = await Stranger.start()));
  after(() => stranger?.stop());

  const run = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    rtc(args, { RTC: stranger.url, ...environment });

  it('says so in a line, with a remedy and without a stack, whatever comes', async () => {
    const answers: [string, Answering, typeof commands][] = [
      ['{}', (_request, response) => response.end('{}'), commands],
      ['null', (_request, response) => response.end('null'), commands.slice(0, 3)],
      ['no JSON', (_request, response) => response.end('<html>\u001b[31mhello</html>'), commands.slice(0, 3)],
    ];
    for (const [name, answer, asked] of answers) {
      stranger.answer = answer;
      const results = await Promise.all(asked.map((args) => run(args)));
      for (const [i, { code, stderr }] of results.entries()) {
        const [command] = asked[i]!;
        assert.ok(code === 1 || code === 3, `${command} ${name}: ${code} ${stderr}`);
        assert.doesNotMatch(stderr, /^\s+at .*\.js/m, `${command} ${name}`);
        assert.doesNotMatch(stderr, controls, `${command} ${name}`);
      }
    }
    const noTime = { connection_id: 'c', connected_at: 1e300, topics: {} };
    stranger.answer = (_request, response) =>
      response.end(JSON.stringify({ connections: [noTime], total: 1, silent_replicas: [] }));
    const late = await run(['connections']);
    assert.deepEqual([late.code, /^\s+at /m.test(late.stderr)], [1, false], late.stderr);
    stranger.answer = answers[0]![1];
    const topics = await run(['topics', '--json']);
    assert.equal(topics.code, 1);
    assert.equal(validJson<{ error: { code: string } }>('error', topics)[0]!.error.code, 'bad_answer');
    for (const greeting of [
      '[]',
      'null',
      '{"type":"Broadcast"}',
      '{"type":"Status","id":"subscribe","data":{}}',
    ]) {
      stranger.greeting = greeting;
      for (const args of [
        ['tail', 'news', '--timeout', '2s'],
        ['connect', stranger.url, '--token', 'x', '--subscribe', 'news', '--for', '2s'],
      ]) {
        const { code, stderr } = await run(args);
        assert.ok(code === 1 || code === 3, `${args[0]} ${greeting}: ${code} ${stderr}`);
        assert.doesNotMatch(stderr, /^\s+at .*\.js/m);
      }
    }
  });

  it('is found by the doctor as something else, whatever it answers', async () => {
    for (const body of ['{}', '{"phase":"running","redis":{}}', 'hello', '[1]']) {
      stranger.answer = (_request, response) => response.end(body);
      const result = await run(['doctor', '--json']);
      const [report] = validJson<{ checks: { code: string | null }[] }>('rtc doctor', result);
      assert.deepEqual([report!.checks.map(({ code }) => code), result.code], [['RTC-ADDRESS-03'], 2], body);
    }
    // The health of the service, and nothing else that fits.
    const replica = await TestReplica.start();
    try {
      const health = JSON.stringify(await replica.json('/health'));
      stranger.answer = (request, response) => response.end(request.url === '/health' ? health : '{"a":[]}');
      const { code, stderr } = await run(['doctor', '--json', '--timeout', '2s']);
      assert.equal(code, 2, stderr);
    } finally {
      await replica.end('SIGKILL');
    }
  });

  it('gives up in time, and does not read without end', async () => {
    stranger.answer = (_request, response) => void response.write('{"topics":[');
    const never = await run(['topics', '--timeout', '500ms']);
    assert.equal(never.code, 3);
    assert.match(never.stderr, /no answer within 500 ms/);
    const part = Buffer.alloc(1024 * 1024, ' ');
    let sent = 0;
    stranger.answer = (request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(part)) sent++;
      };
      response.on('drain', more);
      request.on('close', () => response.destroy());
      more();
    };
    const endless = await run(['topics', '--timeout', '20s']);
    assert.deepEqual([endless.code, /more than \d+ bytes/.test(endless.stderr)], [1, true], endless.stderr);
    assert.ok(sent < 500, `${sent} MB`);
    const doctor = await run(['doctor', '--timeout', '20s']);
    assert.equal(doctor.code, 2, doctor.stderr);
  });
});

describe('[CLI] rtc in an unkind environment', function () {
  this.timeout(60_000);
  let replica: TestReplica;
  before(async () => (replica = await TestReplica.start()));
  after(() => replica?.end('SIGKILL'));

  it('shows names and payloads of strangers without what controls a terminal', async () => {
    const wild = 'a\u009b31mred\u202e';
    const socket = await connectClient(replica.url, 'ann');
    try {
      await emit(socket, 'subscribe', { topics: ['wild'] });
      await emit(socket, 'publish', { topic: 'wild', payload: { text: `\u001b]0;title\u0007${wild}` } });
      const target = { RTC: replica.url };
      for (const args of [
        ['history', 'wild'],
        ['history', 'wild', '--json'],
        ['connections'],
        ['topics', '--json'],
        ['emergency', 'freeze', 'wild', '--reason', wild.replace('\u009b', '')],
        ['emergency', 'unfreeze', 'wild'],
      ]) {
        const { code, stdout, stderr } = await rtc(args, target);
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stdout + stderr, controls, args.join(' '));
      }
      const json = await rtc(['history', 'wild', '--json'], target);
      const [page] = validJson<{ messages: { payload: { text: string } }[] }>('rtc history', json);
      assert.ok(page!.messages[0]!.payload.text.endsWith(wild), 'JSON means the same');
    } finally {
      socket.disconnect();
    }
  });

  it('works without a home directory, and takes no profiles from a directory that is not absolute', async () => {
    const target = { RTC: replica.url, HOME: '', XDG_CONFIG_HOME: '' };
    const list = await rtc(['topics', '--json'], target);
    assert.equal(list.code, 0, list.stderr);
    // The test runs in this directory.
    mkdirSync(join(scratch, '.config', 'rtc'), { recursive: true });
    const profiles = { current: 'evil', profiles: { evil: { url: 'http://evil.invalid' } } };
    writeFileSync(join(scratch, '.config', 'rtc', 'profiles.json'), JSON.stringify(profiles));
    for (const environment of [target, { ...target, XDG_CONFIG_HOME: '.config' }]) {
      const { stdout } = await rtc(['profile', 'list', '--json'], environment);
      assert.doesNotMatch(stdout, /evil/);
    }
  });

  it('says that profiles and reports cannot be written, before anything else is done', async () => {
    const blocked = join(mkdtempSync(join(scratch, 'blocked-')), 'file');
    writeFileSync(blocked, '');
    const profile = await rtc(['profile', 'add', 'here', replica.url], { XDG_CONFIG_HOME: blocked });
    assert.equal(profile.code, 2);
    assert.match(profile.stderr, /cannot be written: .*ENOTDIR/);
    assert.equal((await rtc(['topics', '--json'], { RTC: replica.url, XDG_CONFIG_HOME: blocked })).code, 0);
    const report = await rtc(['load-test', '--report', join(blocked, 'x.html'), '--duration', '1h'], {
      RTC: replica.url,
    });
    assert.equal(report.code, 2, report.stderr);
    assert.match(report.stderr, /cannot be written/);
    const saved = await rtc(['doctor', '--save', join(blocked, 'x.json')], { RTC: replica.url });
    assert.equal(saved.code, 3);
    assert.match(saved.stderr, /ENOTDIR/);
  });

  it('ends without a word when its reader has seen enough, or there is none', async () => {
    const socket = await connectClient(replica.url, 'ann');
    const flood = setInterval(() => socket.emit('publish', { topic: 'flood', payload: 1 }), 5);
    try {
      const env = rtcEnvironment({ RTC: replica.url, PROGRAM: `${process.execPath} ${rtcProgram}` });
      const shell = (line: string) => {
        const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', line], {
          env,
          timeout: 30_000,
        });
        return { status, stdout: stdout.toString(), stderr: stderr.toString() };
      };
      // The flood of this process waits meanwhile.
      for (let n = 0; n < 50; n++) await emit(socket, 'publish', { topic: 'flood', payload: n });
      const head = shell('$PROGRAM history flood --limit 50 | head -1');
      assert.deepEqual([head.status, head.stderr, head.stdout.split('\n').length], [0, '', 2]);
      const closed = shell('$PROGRAM topics >&-');
      assert.deepEqual([closed.status, closed.stderr], [0, '']);
      const following = new RtcProcess(['tail', 'flood', '--json'], { RTC: replica.url });
      await until(() => following.stdout.split('\n').length > 3, 'it follows', 20_000);
      following.signal('SIGINT');
      const { code, stderr } = await following.ended();
      assert.deepEqual([code, stderr], [0, '']);
    } finally {
      clearInterval(flood);
      socket.disconnect();
    }
  });
});
