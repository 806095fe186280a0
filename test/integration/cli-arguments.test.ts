import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { version } from '../../shared/version.js';
import { certificate } from '../support/certificate.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { rtc, validJson, type RtcResult } from '../support/rtc.js';

interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly remedy?: string };
}

const errorOf = (result: RtcResult) => validJson<ErrorAnswer>('error', result)[0]!.error;

async function listening<Any extends Server>(server: Any): Promise<Any> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
const portOf = (server: Server) => (server.address() as AddressInfo).port;

describe('[CLI] rtc, with arguments that make no sense together', function () {
  this.timeout(60_000);

  it('prints its version', async () => {
    for (const option of ['--version', '-v']) {
      const { code, stdout } = await rtc([option]);
      assert.deepEqual([code, stdout], [0, `rtc ${version}\n`]);
    }
  });

  it('refuses a load test that would not be the one that was asked for', async () => {
    for (const [args, text] of [
      [['--rate', '0'], /--rate.*from 0\.0001 to 10000/],
      [['--duration', '0s'], /--duration.*from 1ms to 24d/],
      [['--max-loss', '101'], /--max-loss.*from 0 to 100/],
      [['--connections', '5', '--topics', '6'], /--topics 6 is more than --connections 5/],
      [['--topics', '2', '--subscribers-per-topic', '5'], /choose one/],
      [['--connections', '5', '--subscribers-per-topic', '6'], /--subscribers-per-topic 6 is more than/],
      [['--connections', '10', '--workers', '2'], /--workers 2 is more than there are topics, 1/],
      [['--connections', '1', '--rate', '0.01', '--duration', '10s'], /nothing would be published/],
    ] as const) {
      const result = await rtc(['load-test', '--url', 'http://127.0.0.1:1', ...args, '--json']);
      assert.equal(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
      const { code, message } = errorOf(result);
      assert.equal(code, 'usage');
      assert.match(message, text);
    }
  });

  it('refuses what is no argument of rtc connect and rtc redis acl, and a publish without a payload', async () => {
    for (const args of [
      ['connect', 'ftp://a'],
      ['connect', '127.0.0.1:1', '--publish', 'news'],
      ['redis', 'acl', '--user', 'a b'],
      ['redis', 'acl', '--user', ''],
      ['redis', 'acl', '--redis-version', 'seven'],
      ['publish', 'news', '--url', '127.0.0.1:1'],
      ['direct', 'ann', '-', '--url', '127.0.0.1:1'],
    ]) {
      const { code, stderr } = await rtc(args);
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    }
    // An address without http:// is one, as it is for the other commands.
    const away = await rtc(['connect', '127.0.0.1:1', '--token', 'x']);
    assert.deepEqual(
      [away.code, /no connection: connect ECONNREFUSED/.test(away.stderr)],
      [1, true],
      away.stderr,
    );
    const acl = await rtc(['redis', 'acl', '--user', 'a%b']);
    assert.match(acl.stderr, /redis:\/\/a%25b:/);
  });

  it('refuses a token that cannot be sent, and does not repeat it', async () => {
    for (const [token, text] of [
      ['', /--token.*It is empty/],
      [' ', /the token is empty \(from --token\)/],
      ['secret\nsecond', /end of line/],
      ['\u201csecret\u201d', /character that no token has/],
    ] as const) {
      const result = await rtc(['topics', '--url', 'http://127.0.0.1:1', '--token', token, '--json']);
      assert.equal(result.code, 2, result.stderr);
      assert.match(errorOf(result).message, text);
      assert.doesNotMatch(result.stdout + result.stderr, /secret/);
    }
    const variable = await rtc(['topics', '--json'], { ADMIN_TOKEN: 'a\u0000b'.replace('\u0000', '\r\n') });
    assert.match(errorOf(variable).message, /from the variable ADMIN_TOKEN/);
  });
});

describe('[CLI] rtc, where another protocol is spoken', function () {
  this.timeout(60_000);

  it('tells a time-out, a port without TLS, without HTTP, one that hangs up, and a redirection apart', async () => {
    const servers: Server[] = [];
    const start = async (server: Server) => {
      servers.push(await listening(server));
      return portOf(server);
    };
    try {
      const silent = await start(createServer((socket) => socket.on('error', () => {})));
      const plain = await start(createHttpServer((_request, response) => response.end('{}')));
      const shell = await start(
        createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.6\r\n')),
      );
      const closing = await start(createServer((socket) => socket.on('error', () => {}).destroy()));
      const moved = await start(
        createHttpServer((_request, response) =>
          response.writeHead(301, { location: 'https://elsewhere.example/health' }).end(),
        ),
      );
      const tls = await start(createTlsServer(certificate, (socket) => socket.end()));
      for (const [url, exit, code, text, remedy] of [
        [`http://127.0.0.1:${silent}`, 3, 'timeout', /no answer within 700 ms/, /--timeout/],
        [`https://127.0.0.1:${plain}`, 3, 'unreachable', /does not speak TLS/, /http:\/\//],
        [`http://127.0.0.1:${shell}`, 3, 'unreachable', /does not speak HTTP/, /port/],
        [
          `http://127.0.0.1:${closing}`,
          3,
          'unreachable',
          /closed instead of an answer|reset|hang up/i,
          /doctor/,
        ],
        [`http://127.0.0.1:${tls}`, 3, 'unreachable', /./, /./],
      ] as const)
        for (const command of [['topics'], ['tail', 'news']]) {
          const result = await rtc([...command, '--url', url, '--timeout', '700ms', '--json']);
          const error = errorOf(result);
          const shown = `${command[0]} ${url} ${JSON.stringify(error)}`;
          assert.deepEqual([result.code, error.code], [exit, code], shown);
          assert.doesNotMatch(error.message, /ssl3|openssl|OPENSSL|EPROTO/, shown);
          if (command[0] === 'topics' || code !== 'unreachable') {
            assert.match(error.message, text, shown);
            assert.match(error.remedy!, remedy, shown);
          }
        }
      const redirected = await rtc(['topics', '--url', `http://127.0.0.1:${moved}`, '--json']);
      assert.deepEqual([redirected.code, errorOf(redirected).code], [1, 'redirected']);
      assert.match(errorOf(redirected).remedy!, /--url https:\/\/elsewhere\.example$/);
      for (const [port, scheme, code, remedy] of [
        [plain, 'https', 'RTC-ADDRESS-03', /--url http:/],
        [shell, 'http', 'RTC-ADDRESS-03', /ss -ltnp/],
        [closing, 'http', 'RTC-ADDRESS-03', /ss -ltnp|curl/],
        [moved, 'http', 'RTC-ADDRESS-03', /--url https:\/\/elsewhere\.example/],
        [silent, 'http', 'RTC-ADDRESS-02', /curl/],
      ] as const) {
        const url = `${scheme}://127.0.0.1:${port}`;
        const result = await rtc(['doctor', '--url', url, '--timeout', '700ms', '--json']);
        const [{ checks }] = validJson<{ checks: { code: string | null; remedy: string }[] }>(
          'rtc doctor',
          result,
        ) as [{ checks: { code: string | null; remedy: string }[] }];
        const found = checks.filter((check) => check.code !== null);
        assert.deepEqual(
          found.map((check) => check.code),
          [code],
          `${url} ${result.stdout}`,
        );
        assert.match(found[0]!.remedy, remedy);
      }
    } finally {
      for (const server of servers) server.close();
    }
  });
});

describe('[CLI] rtc, at the limits of the service', function () {
  this.timeout(60_000);
  let replica: TestReplica;
  before(async () => (replica = await TestReplica.start()));
  after(() => replica?.end('SIGKILL'));

  const run = (...args: string[]) =>
    rtc(args, { RTC: replica.url, ADMIN_TOKEN: tokenOf('olga', { roles: ['admin'] }) });

  it('names the option and its limit, and what it takes the service takes too', async () => {
    for (const [args, text] of [
      [['emergency', 'limit', 'mal', '--rps', '5', '--for', '99999999h'], /--for.*from 1s to 7d/],
      [['emergency', 'limit', 'mal', '--rps', '0'], /--rps.*from 1 to 1000000/],
      [['emergency', 'rates', '--user-rps', '1000001'], /--user-rps.*from 0 to 1000000/],
      [['topics', '--limit', '10001'], /--limit.*from 1 to 10000/],
      [
        ['publish', 'news', '1', '--confirm', 'delivered', '--confirm-timeout', '2m'],
        /--confirm-timeout.*to 1m/,
      ],
      [['publish', 'news', '1', '--confirm-timeout', '1s'], /--confirm delivered/],
    ] as const) {
      const result = await run(...args, '--json');
      assert.equal(result.code, 2, args.join(' '));
      assert.match(errorOf(result).message, text);
    }
    for (const args of [
      ['emergency', 'limit', 'mal', '--rps', '1000000', '--for', '7d'],
      ['emergency', 'limit', 'mal', '--rps', '1', '--for', '1s'],
      ['emergency', 'unlimit', 'mal'],
      ['emergency', 'rates', '--user-rps', '1000000', '--connection-rps', '0'],
      ['emergency', 'rates', '--reset'],
      ['topics', '--limit', '10000'],
      ['connections', '--limit', '10000'],
      ['publish', 'news', '1', '--confirm', 'delivered', '--confirm-timeout', '1m', '--key', 'ключ "1"'],
      ['history', 'news', '--limit', '100000'],
    ]) {
      const { code, stderr } = await run(...args);
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    }
    const again = await run('publish', 'news', '1', '--key', 'ключ "1"');
    assert.match(again.stdout, /a repetition/);
  });

  it('sends nothing to another path for names that a path cannot hold', async () => {
    for (const args of [
      ['trace', '..'],
      ['trace', ''],
      ['trace', '123'],
      ['why', '123', '--user', 'ann'],
      ['why', '.', '--user', 'ann'],
      ['why', '7b4c1a3e-6a5d-4c0c-9b0e-2d0a1f0e9c11', '--user', '..'],
      ['emergency', 'freeze', '..'],
      ['emergency', 'limit', '..', '--rps', '1'],
      ['emergency', 'unlimit', ''],
      ['emergency', 'disconnect', '.'],
    ]) {
      const result = await run(...args, '--json');
      assert.equal(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
      assert.equal(errorOf(result).code, 'usage');
    }
  });
});
