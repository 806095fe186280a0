import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TestReplica, tokenOf } from '../support/replica.js';
import {
  rtc,
  rtcEnvironment,
  RtcProcess,
  rtcProgram,
  scratch,
  validJson,
  type RtcResult,
} from '../support/rtc.js';
import { until } from '../support/wait.js';

const codeOf = (result: RtcResult) =>
  validJson<{ error: { code: string; message: string } }>('error', result).at(-1)!.error;

/** The exit code and one line of an error, without a stack. */
function refusedBy(result: RtcResult, code: number, text: RegExp): void {
  const shown = `${result.code} ${result.stdout}${result.stderr}`;
  assert.equal(result.code, code, shown);
  assert.match(result.stderr, text, shown);
  assert.doesNotMatch(result.stderr, /^\s+at .*\.js/m, shown);
}

async function listening<Listening extends Server | ReturnType<typeof createTcpServer>>(
  server: Listening,
): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
const urlOf = (server: { address(): unknown }) =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('[CLI] rtc, where its output cannot be written', function () {
  this.timeout(60_000);

  it('says so in a line, whatever the command is', () => {
    const env = rtcEnvironment({ PROGRAM: `${process.execPath} ${rtcProgram}` });
    for (const [line, code] of [
      ['token create --user ann', 1],
      ['token create --user ann --json', 1],
      ['config print', 1],
      ['config-table', 1],
      ['completion bash', 1],
      ['redis acl', 1],
      ['decode x', 1],
      ['--help', 1],
      ['doctor --url http://127.0.0.1:1 --timeout 2s', 3],
    ] as const) {
      const { status, stderr } = spawnSync('bash', ['-c', `$PROGRAM ${line} > /dev/full`], {
        env,
        timeout: 30_000,
        encoding: 'utf8',
      });
      assert.equal(status, code, `${line}: ${status} ${stderr}`);
      assert.match(stderr, /^standard output cannot be written: the disk is full \(ENOSPC\)$/m, line);
      assert.doesNotMatch(stderr, /^\s+at /m, line);
    }
  });
});

describe('[CLI] rtc tail and rtc sessions, where something else answers', function () {
  this.timeout(60_000);
  const servers: { close(): unknown }[] = [];
  after(() => {
    for (const server of servers) server.close();
  });
  const http = async (answer: RequestListener) => {
    const server = await listening(createServer(answer));
    servers.push(server);
    return urlOf(server);
  };
  const html: RequestListener = (_request, response) => response.end('<html>Welcome</html>');
  const admin = tokenOf('olga', { roles: ['admin'] });

  it('tell a redirection, a page and a stranger apart, as the other commands do', async () => {
    const elsewhere = 'https://elsewhere.example/ws';
    for (const [answer, code] of [
      [html, 'not_json'],
      [(_request, response) => response.writeHead(403).end('<h1>Forbidden</h1>'), 'not_json'],
      [(_request, response) => response.writeHead(302, { location: elsewhere }).end(), 'redirected'],
      [(_request, response) => response.end('{}'), 'bad_answer'],
      [(_request, response) => response.writeHead(403).end('{}'), 'http_403'],
    ] as const satisfies readonly (readonly [RequestListener, string])[]) {
      const url = await http(answer);
      for (const args of [['tail', 'news'], ['topics']]) {
        const result = await rtc([...args, '--url', url, '--json']);
        assert.deepEqual([result.code, codeOf(result).code], [1, code], `${args[0]} ${result.stderr}`);
      }
    }
  });

  it('write no backup of a page, nor of another service, and restore nothing there', async () => {
    const file = join(scratch, 'no-backup-of-this.json');
    const backup = join(scratch, 'a-backup.json');
    const head = { format: 'rtc-sessions', version: 1, created_at: 1, replica_id: null };
    const session = {
      id: '7b4c1a3e-6a5d-4c0c-9b0e-2d0a1f0e9c11',
      user_id: 'ann',
      topics: {},
      created_at: 1,
      updated_at: 1,
    };
    writeFileSync(backup, JSON.stringify({ ...head, sessions: [session] }));
    for (const [answer, code] of [
      [html, 'not_json'],
      [(_request, response) => response.end(`{"some":"${'thing '.repeat(10)}"}`), 'bad_answer'],
    ] as const satisfies readonly (readonly [RequestListener, string])[]) {
      const through = ['--url', await http(answer), '--token', admin, '--json'];
      const stored = await rtc(['sessions', 'backup', file, ...through]);
      assert.deepEqual([stored.code, codeOf(stored).code], [1, code], stored.stderr);
      assert.ok(!existsSync(file));
      const restored = await rtc(['sessions', 'restore', backup, ...through]);
      assert.deepEqual([restored.code, codeOf(restored).code], [1, code], restored.stderr);
    }
  });

  it('give up on a service that does not answer', async () => {
    const silent = await listening(createTcpServer((socket) => socket.on('error', () => {})));
    servers.push(silent);
    const result = await rtc([
      ...['sessions', 'backup', join(scratch, 'silent.json'), '--url', urlOf(silent)],
      ...['--token', admin, '--json', '--timeout', '500ms'],
    ]);
    assert.deepEqual([result.code, codeOf(result).code], [1, 'timeout']);
    assert.match(codeOf(result).message, /no answer within 500 ms/);
  });
});

describe('[CLI] rtc, with numbers that JavaScript cannot hold', function () {
  this.timeout(60_000);
  let replica: TestReplica;
  before(async () => (replica = await TestReplica.start()));
  after(() => replica?.end('SIGKILL'));

  it('publishes and shows them as they were written', async () => {
    const payload = '{"big":12345678901234567890,"huge":1e400,"fine":0.1,"text":"x"}';
    const environment = { RTC: replica.url };
    const following = new RtcProcess(
      ['tail', 'exact', '--count', '3', '--for', '20s', '--json'],
      environment,
    );
    await until(
      async () => (await rtc(['topics', '--prefix', 'exact'], environment)).stdout.includes('exact'),
      'it has subscribed',
      20_000,
    );
    for (const [given, input] of [
      [payload, ''],
      ['-', payload],
    ] as const) {
      const sent = await rtc(['publish', 'exact', given], environment, input);
      assert.equal(sent.code, 0, sent.stderr);
    }
    const token = tokenOf('ann');
    const connected = await rtc([
      ...['connect', replica.url, '--token', token, '--subscribe', 'exact'],
      ...['--publish', 'exact', payload, '--for', '10s'],
    ]);
    assert.ok(connected.stdout.includes(payload), connected.stdout + connected.stderr);
    const followed = await following.ended();
    assert.equal(followed.stdout.split(payload).length - 1, 3, followed.stdout);
    for (const more of [[], ['--json']]) {
      const { stdout } = await rtc(['history', 'exact', ...more], environment);
      assert.equal(stdout.split(payload).length - 1, 3, stdout);
    }
    const direct = await rtc(['direct', 'bob', payload], environment);
    assert.equal(direct.code, 0, direct.stderr);
    const long = await rtc(['publish', 'exact', '1'.repeat(101), '--json'], environment);
    assert.deepEqual([long.code, codeOf(long).code], [1, 'invalid_json']);
  });

  it('refuses a payload from standard input that is no text', () => {
    const { status, stderr } = spawnSync(process.execPath, [rtcProgram, 'publish', 'exact'], {
      env: rtcEnvironment({ RTC: replica.url }),
      input: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
      encoding: 'utf8',
    });
    assert.equal(status, 2);
    assert.match(stderr, /^the payload from standard input is not UTF-8 text/);
  });

  it('says what it lacks of a message, a topic or a user', async () => {
    const environment = { RTC: replica.url, ADMIN_TOKEN: tokenOf('olga', { roles: ['admin'] }) };
    refusedBy(await rtc(['emergency', 'freeze', ''], environment), 2, /^topic: the name is empty$/m);
    refusedBy(await rtc(['emergency', 'freeze', '..'], environment), 2, /another path/);
  });
});

describe('[CLI] rtc, with arguments that nothing can be done with', function () {
  this.timeout(60_000);

  it('names the unit of a time, and its limits', async () => {
    for (const [args, text] of [
      [['load-test', '--duration', '0'], /from 1ms to 24d; a whole number alone is seconds/],
      [['load-test', '--duration', '1.5'], /a whole number alone is seconds, 1500ms is one and a half/],
      [['token', 'create', '--user', 'ann', '-e', '500ms'], /tokens live for whole seconds/],
    ] as const)
      refusedBy(await rtc(args), 2, text);
    const { stdout } = await rtc(['load-test', '--help']);
    for (const option of ['--duration', '--ramp'])
      assert.match(
        stdout.replace(/\s+/g, ' '),
        new RegExp(`${option} <time> [^(]*; a number alone is seconds \\(`),
      );
  });

  it('wants a token to be inspected', async () => {
    refusedBy(await rtc(['token', 'inspect']), 2, /^there is no token: standard input is empty$/m);
    refusedBy(await rtc(['token', 'inspect', '-'], {}, '\n'), 2, /standard input is empty/);
    refusedBy(await rtc(['token', 'inspect', '']), 2, /^the token is empty$/m);
    for (const input of ['Bearer', 'bearer \n'])
      refusedBy(await rtc(['token', 'inspect'], {}, input), 2, /only the word Bearer/);
  });

  it('refuses an address with parts that would not be sent, and does not repeat the password', async () => {
    const environment = { XDG_CONFIG_HOME: join(scratch, 'no-credentials') };
    const secret = await rtc(['profile', 'add', 'prod', 'https://ann:geheim@rtc.example'], environment);
    refusedBy(secret, 2, /a user or a password before its host/);
    assert.ok(!secret.stderr.includes('geheim'));
    refusedBy(await rtc(['topics', '--url', 'http://ann@127.0.0.1:1']), 2, /a user or a password/);
    refusedBy(
      await rtc(['profile', 'add', 'prod', 'https://rtc.example/?x=1'], environment),
      2,
      /has a query/,
    );
    refusedBy(await rtc(['topics', '--url', 'http://127.0.0.1:0']), 2, /nothing listens at port 0/);
    assert.ok(!existsSync(join(environment.XDG_CONFIG_HOME, 'rtc', 'profiles.json')));
  });

  it('names the field of a bundle that has another form', async () => {
    const file = join(scratch, 'wrong-bundle.json');
    const url = 'http://127.0.0.1:1';
    await rtc(['doctor', '--url', url, '--save', file]);
    const seen = JSON.parse(readFileSync(file, 'utf8')) as { reach: object };
    for (const [wrong, field] of [
      [{ ...seen, reach: { ...seen.reach, addresses: 7 } }, /reach\.addresses: /],
      [{ ...seen, at: 'today' }, /at: /],
      [{ ...seen, url: 'nowhere' }, /url: no address/],
      [{ ...seen, health: {} }, /health\.status: /],
      [{ ...seen, replicas: [{ url }] }, /replicas\.0\.problem: /],
      [{ format: 2 }, /format: /],
    ] as const) {
      writeFileSync(file, JSON.stringify(wrong));
      const result = await rtc(['doctor', '--from', file]);
      refusedBy(result, 3, /was not written by rtc doctor --save of this version: /);
      assert.match(result.stderr, field);
      assert.equal(result.stdout, '');
    }
  });
});
