import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { rtc, scratch, validJson } from '../support/rtc.js';
import { freePort } from '../support/wait.js';
import type { DoctorAnswer } from '../support/doctor-rig.js';

describe('[CLI] rtc doctor, on two healthy replicas', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;
  let args: string[];

  before(async () => {
    redis = await TestRedis.start('aof');
    const start = (id: string) => TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id });
    [a, b] = await Promise.all([start('a'), start('b')]);
    args = ['doctor', '--url', a.url, '--replica', a.url, b.url];
  });
  after(async () => {
    await Promise.all([a?.end('SIGKILL'), b?.end('SIGKILL')]);
    await redis?.stop();
  });

  it('says that all is well, in words, as JSON, for Nagios and for Prometheus, with exit code 0', async () => {
    const startedAt = Date.now();
    const words = await rtc(args);
    const tookMs = Date.now() - startedAt;
    assert.ok(tookMs < 10_000, `it took ${tookMs} ms`);
    assert.deepEqual(
      [words.code, words.stdout.trim().split('\n').at(-1)],
      [0, 'all well'],
      words.stdout + words.stderr,
    );
    assert.match(words.stdout, /^√ 6 messages were published and received 12 times, in order/m);
    assert.match(words.stdout, /^√ 2 of 2 replicas answer/m);
    assert.doesNotMatch(words.stdout, /\u001b/);
    const json = await rtc([...args, '--json']);
    assert.equal(json.code, 0);
    assert.equal(validJson<DoctorAnswer>('rtc doctor', json)[0]!.verdict, 'well');
    const nagios = await rtc([...args, '--format', 'nagios']);
    assert.deepEqual([nagios.code, nagios.stdout], [0, 'RTC OK - all well | failures=0 warnings=0\n']);
    const prometheus = await rtc([...args, '--format', 'prometheus']);
    assert.match(prometheus.stdout, /^rtc_doctor_verdict\{url="http:\/\/127[^}]*"\} 0$/m);
  });

  it('judges elsewhere what was seen here, and the file holds no token', async () => {
    const token = tokenOf('ann', { exp: 1 });
    const file = join(scratch, 'bundle.json');
    const here = await rtc([...args, '--save', file], { TOKEN: token });
    assert.equal(here.code, 2);
    assert.ok(!readFileSync(file, 'utf8').includes(token));
    const there = await rtc(['doctor', '--from', file], { JWT_SECRET: '' });
    assert.deepEqual([there.code, there.stdout], [2, here.stdout]);
    const skipped = await rtc(['doctor', '--from', file, '--skip', 'RTC-TOKEN-02']);
    assert.equal(skipped.code, 0, skipped.stdout);
    assert.equal((await rtc(['doctor', '--from', file, '--only', 'redis,clock'])).code, 0);
    assert.equal((await rtc(['doctor', '--from', file, '--only', 'token'])).code, 2);
  });

  it('ends with 3 if it could not look, and with 2 if nothing answers', async () => {
    assert.equal((await rtc(['doctor', '--no-such-option'])).code, 3);
    assert.equal((await rtc(['doctor', '--only', 'weather'])).code, 3);
    assert.equal((await rtc(['doctor', '--from', 'absent.json'])).code, 3);
    const nobody = await rtc(['doctor', '--url', `http://127.0.0.1:${await freePort()}`, '--json']);
    assert.equal(nobody.code, 2);
    const codes = (result: typeof nobody) =>
      validJson<DoctorAnswer>('rtc doctor', result)[0]!.checks.flatMap(({ code }) => code ?? []);
    assert.deepEqual(codes(nobody), ['RTC-ADDRESS-02']);
    assert.deepEqual(codes(await rtc(['doctor', '--url', 'http://no-such-host.invalid', '--json'])), [
      'RTC-ADDRESS-01',
    ]);
    const other = await rtc(['doctor', '--url', `${a.url}/admin`, '--json']);
    assert.deepEqual(codes(other), ['RTC-ADDRESS-03']);
  });

  it('waits for a service that starts', async () => {
    await b.end();
    const waiting = rtc(['doctor', '--url', b.url, '--wait', '30s', '--json']);
    await b.run();
    assert.equal((await waiting).code, 0);
  });

  it('names the secret once if both tokens are signed with another one, and the operator’s token if only that is missing', async () => {
    const codes = async (environment: NodeJS.ProcessEnv) =>
      validJson<DoctorAnswer>('rtc doctor', await rtc([...args, '--json'], environment))[0]!.checks.flatMap(
        ({ code }) => code ?? [],
      );
    assert.deepEqual(await codes({ JWT_SECRET: 'another secret for tests' }), ['RTC-TOKEN-03']);
    assert.deepEqual(await codes({ JWT_SECRET: '', TOKEN: tokenOf('ann') }), ['RTC-TOKEN-09']);
    assert.deepEqual(await codes({ JWT_SECRET: '' }), ['RTC-TOKEN-01']);
  });
});
