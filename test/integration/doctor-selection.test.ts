import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DoctorAnswer } from '../support/doctor-rig.js';
import { TestReplica } from '../support/replica.js';
import { rtc, validJson } from '../support/rtc.js';
import { freePort } from '../support/wait.js';

const forms = [[], ['--json'], ['--format', 'nagios'], ['--format', 'prometheus']] as const;

describe('[CLI] rtc doctor --only and --skip', function () {
  this.timeout(120_000);
  let replica: TestReplica;
  let foreign: Server;
  let foreignUrl: string;

  before(async () => {
    replica = await TestReplica.start();
    foreign = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<h1>Welcome</h1>');
    });
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
    foreignUrl = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
  });
  after(async () => {
    foreign?.close();
    await replica?.end('SIGKILL');
  });

  /** In each form: the code is named, and nothing says that all is well. */
  const finds = async (code: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    for (const form of forms) {
      const { stdout, stderr, code: exit } = await rtc(['doctor', ...args, ...form], environment);
      const shown = `${args.join(' ')} ${form.join(' ')}: ${stdout}${stderr}`;
      assert.equal(exit, 2, shown);
      assert.ok(stdout.includes(code), shown);
      assert.doesNotMatch(stdout, /all well|RTC OK|"verdict":"well"|verdict\{.*\} 0/, shown);
    }
  };

  it('are not well where nobody answers', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    await finds('RTC-ADDRESS-02', ['--url', url, '--only', 'redis,capacity']);
    await finds('RTC-ADDRESS-02', ['--url', url, '--skip', 'address']);
  });

  it('are not well where something else answers', async () => {
    await finds('RTC-ADDRESS-03', ['--url', foreignUrl, '--only', 'messages']);
  });

  it('are not well where the token is refused', async () => {
    const other = { JWT_SECRET: 'another secret for these tests' };
    await finds('RTC-TOKEN-03', ['--url', replica.url, '--only', 'messages'], other);
    await finds('RTC-TOKEN-03', ['--url', replica.url, '--only', 'replicas'], other);
    await finds('RTC-TOKEN-03', ['--url', replica.url, '--skip', 'token'], other);
  });

  it('end with 3 if they leave nothing, or what is asked for is not looked at', async () => {
    const nothing = await rtc(['doctor', '--url', replica.url, '--only', 'token', '--skip', 'token']);
    assert.deepEqual([nothing.code, nothing.stdout], [3, '']);
    assert.match(nothing.stderr, /^--only and --skip leave nothing to look at/);
    const idle = await rtc([
      ...['doctor', '--url', replica.url, '--only', 'RTC-PROXY-02'],
      ...['--format', 'nagios'],
    ]);
    assert.equal(idle.code, 3);
    assert.match(idle.stdout, /^RTC UNKNOWN - could not look at RTC-PROXY-02 \(looked at with --idle\)/);
    const json = await rtc(['doctor', '--url', replica.url, '--only', 'RTC-REDIS-05', '--json']);
    assert.equal(validJson<DoctorAnswer>('rtc doctor', json)[0]!.verdict, 'unknown');
  });

  it('wait for a service that is not there yet', async () => {
    await replica.end();
    const waiting = rtc([
      ...['doctor', '--url', replica.url, '--only', 'redis,capacity', '--wait', '60s'],
      ...['--format', 'nagios'],
    ]);
    await replica.run();
    const { code, stdout } = await waiting;
    assert.deepEqual([code, stdout.slice(0, 6)], [0, 'RTC OK'], stdout);
  });
});
