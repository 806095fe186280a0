import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../support/admin.js';
import { connectClient } from '../support/clients.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { rtc, rtcEnvironment, RtcProcess, rtcProgram, scratch, validJson } from '../support/rtc.js';
import { freePort, until } from '../support/wait.js';

interface Message {
  readonly id: string;
  readonly sequence: number;
  readonly payload: unknown;
}

const error = /"code":"(\w+)"/;

async function doctorCodes(args: readonly string[]): Promise<{ readonly codes: string[] }> {
  const result = await rtc(['doctor', '--json', ...args]);
  const { checks } = validJson<{ checks: { code: string | null }[] }>('rtc doctor', result)[0]!;
  return { codes: checks.flatMap(({ code }) => code ?? []) };
}

describe('[CLI] rtc with a service', function () {
  this.timeout(60_000);
  let replica: TestReplica;
  let target: { RTC: string };
  const token = tokenOf('ann');
  const admin = tokenOf('olga', { roles: ['viewer'] });

  before(async () => {
    replica = await TestReplica.start();
    target = { RTC: replica.url };
  });
  after(() => replica?.end('SIGKILL'));

  const json = async <Value>(command: string, args: readonly string[] = []): Promise<Value> => {
    const given = [...command.split(' '), ...args, '--json'];
    const result = await rtc(given, { ...target, TOKEN: token, ADMIN_TOKEN: admin });
    assert.equal(result.code, 0, `${command}: ${result.stderr}`);
    const [value] = validJson<Value>(`rtc ${command}`, result);
    return value!;
  };

  it('prints JSON that its schema describes, of every command', async () => {
    const reader = await connectClient(replica.url, 'bob');
    await reader.emitWithAck('subscribe', { topics: ['news'] });
    try {
      const { id } = await json<Message>('publish', ['news', '{"a":[1]}', '--trace']);
      const history = await json<{ messages: Message[] }>('history', ['news']);
      assert.deepEqual(history.messages.at(-1)?.payload, { a: [1] });
      const trace = await json<{ events: { stage: string }[] }>('trace', [id]);
      assert.deepEqual(trace.events[0]?.stage, 'Received');
      const { topics } = await json<{ topics: { topic: string }[] }>('topics', ['--prefix', 'ne']);
      assert.deepEqual(
        topics.map(({ topic }) => topic),
        ['news'],
      );
      const { total } = await json<{ total: number }>('connections', ['--user', 'bob']);
      assert.equal(total, 1);
      const { queued } = await json<{ queued: boolean }>('direct', ['nobody', 'hello']);
      assert.equal(queued, true);
    } finally {
      reader.disconnect();
    }
    await json('config print');
    await json('config check');
    await json('config explain', ['server']);
    await json('token create', ['--user', 'ann']);
    await json('token inspect', [token]);
    await json('profile list');
  });

  it('prints JSON that its schema describes, of a backup and a restore', async () => {
    const file = join(mkdtempSync(join(scratch, 'sessions-')), 'sessions.json');
    const token = tokenOf('olga', { roles: ['admin'] });
    for (const name of ['backup', 'restore']) {
      const result = await rtc(['sessions', name, file, '--url', replica.url, '--token', token, '--json']);
      assert.equal(result.code, 0, result.stderr);
      validJson(`rtc sessions ${name}`, result);
    }
  });

  it('prints errors as JSON too, with a code, and says what to do', async () => {
    const refused = await rtc(['topics', '--json'], { ...target, TOKEN: token });
    assert.deepEqual([refused.code, error.exec(refused.stdout)?.[1]], [1, 'forbidden']);
    validJson('error', refused);
    const bad = await rtc(['publish', 'news', '1', '--token', 'bad', '--json'], target);
    assert.deepEqual([bad.code, error.exec(bad.stdout)?.[1]], [1, 'unauthorized']);
    const away = await rtc(['topics', '--json', '--url', `http://127.0.0.1:${await freePort()}`]);
    assert.deepEqual([away.code, error.exec(away.stdout)?.[1]], [3, 'unreachable']);
    assert.match(away.stderr, /ECONNREFUSED[\s\S]*rtc doctor/);
    const none = await rtc(['topics', '--json'], { ...target, JWT_SECRET: '' });
    assert.deepEqual([none.code, error.exec(none.stdout)?.[1]], [2, 'usage']);
    assert.equal((await rtc(['topics', '--no-such-option'])).code, 2);
    assert.equal((await rtc(['no-such-command'])).code, 2);
    assert.equal((await rtc(['publish', 'a b', '1'], target)).code, 1);
  });

  it('refuses wrong arguments with 2 and, with --json, an error as JSON', async () => {
    for (const args of [
      ['publish', '--json'],
      ['publish', 'news', '--bogus', '--json'],
      ['history', 'news', '--limit', 'abc', '--json'],
      ['history', 'news', '--since', 'e:99999999999999999999', '--json'],
      ['emergency', 'mode', 'bogus', '--json'],
      ['load-test', '--connections', '99999999', '--json'],
      ['token', 'create', '--user', '', '--json'],
      // As a number it would be milliseconds, and the token would have expired.
      ['token', 'create', '--user', 'ann', '--expires', '10', '--json'],
      ['token', 'create', '--user', 'ann', '--expires', '99999999999999d', '--json'],
    ]) {
      const result = await rtc(args);
      assert.equal(result.code, 2, args.join(' '));
      const { error } = JSON.parse(result.stdout) as { error: { code: string; message: string } };
      assert.equal(error.code, 'usage', args.join(' '));
      assert.ok(result.stderr.includes(error.message), args.join(' '));
    }
  });

  it('says before a load test that nothing answers', async () => {
    const result = await rtc([
      'load-test',
      '--connections',
      '2',
      '--url',
      'http://127.0.0.1:1',
      '--token',
      'none',
    ]);
    assert.deepEqual([result.code, result.stdout], [3, '']);
    assert.match(result.stderr, /cannot be reached/);
  });

  it('gives up after --timeout when a service does not answer', async () => {
    replica.signal('SIGSTOP');
    try {
      const { code, stderr } = await rtc(
        ['publish', 'news', '1', '--timeout', '300ms', '--key', 'k'],
        target,
      );
      assert.equal(code, 3);
      assert.match(stderr, /no answer within 300 ms[\s\S]*repeat it with --key k/);
    } finally {
      replica.signal('SIGCONT');
    }
  });

  it('prints colour on a terminal only, and not with NO_COLOR', async () => {
    await rtc(['publish', 'colour', '"\\u001b[31mred"'], target);
    const onTerminal = (environment: NodeJS.ProcessEnv): string => {
      const env = rtcEnvironment({
        ...target,
        TERM: 'xterm',
        PROGRAM: `${process.execPath} ${rtcProgram}`,
        ...environment,
      });
      const line = ['-qec', '$PROGRAM history colour', '/dev/null'];
      return spawnSync('script', line, { env, encoding: 'utf8' }).stdout;
    };
    const escape = '\u001b[';
    assert.ok(onTerminal({}).includes(escape));
    const plain = onTerminal({ NO_COLOR: '1' });
    assert.match(plain, /colour #1/);
    assert.ok(!plain.includes(escape), 'no colour, and none of the payload either');
    assert.ok(!(await rtc(['history', 'colour'], target)).stdout.includes(escape));
  });

  it('follows a topic across a restart of the service, without a message twice', async () => {
    const tail = new RtcProcess(['tail', 'steady', '--json'], target);
    await until(
      () => replica.json<{ connections: number }>('/health').then((it) => it.connections === 1),
      'it tails',
    );
    await until(
      async () => (await rtc(['topics', '--json'], target)).stdout.includes('steady'),
      'it is subscribed',
    );
    await rtc(['publish', 'steady', '1'], target);
    await until(() => tail.stdout.includes('"payload":1'), 'the first message came');
    await replica.end('SIGKILL');
    await until(() => tail.stderr.includes('connection lost'), 'the loss is told');
    await replica.run();
    await until(() => tail.stderr.includes('connected again'), 'it is back');
    await rtc(['publish', 'steady', '2'], target);
    await until(() => tail.stdout.includes('"payload":2'), 'the next message came');
    tail.signal('SIGINT');
    const result = await tail.ended();
    assert.equal(result.code, 0);
    const payloads = validJson<Message>('rtc tail', result).map(({ payload }) => payload);
    assert.deepEqual(payloads, [1, 2]);
    assert.match(result.stderr, /messages of steady are missing/, 'the log was in the memory of the process');
  });

  it('ends rtc tail with 1 if fewer messages came than wanted, or if a topic is refused, and acknowledges what it prints', async () => {
    const few = await rtc(['tail', 'quiet', '--for', '500ms', '--count', '1'], target);
    assert.deepEqual([few.code, few.stderr.trim()], [1, '0 of 1 messages came']);
    assert.equal((await rtc(['tail', 'a b'], target)).code, 1);
    assert.equal((await rtc(['tail', 'a', 'b', '--since', 'x:1'], target)).code, 2);
    assert.equal((await rtc(['tail', 'a', '--url', `127.0.0.1:${await freePort()}`])).code, 3);
    const tail = new RtcProcess(['tail', 'acked', '--count', '1'], target);
    await until(
      async () => (await rtc(['topics', '--json'], target)).stdout.includes('acked'),
      'it is subscribed',
    );
    const { code, stdout } = await rtc(['publish', 'acked', '1', '--confirm', 'delivered'], target);
    assert.deepEqual([code, /acknowledged by 1 of 1/.test(stdout)], [0, true], stdout);
    assert.equal((await tail.ended()).code, 0);
  });

  it('reads history after a position, in pages, and a payload from standard input', async () => {
    for (const text of ['one', 'two', 'three']) await rtc(['publish', 'paged', '-'], target, text);
    const all = await json<{ messages: (Message & { epoch: string })[] }>('history', ['paged']);
    assert.deepEqual(
      all.messages.map(({ payload }) => payload),
      ['one', 'two', 'three'],
    );
    const after = `${all.messages[0]!.epoch}:1`;
    const rest = await json<{ messages: Message[] }>('history', ['paged', '--since', after]);
    assert.deepEqual(
      rest.messages.map(({ sequence }) => sequence),
      [2, 3],
    );
    const { stdout } = await rtc(['publish', 'paged', '12', '--text', '--json'], target);
    assert.ok(stdout.includes('"sequence":4'));
    const last = await json<{ messages: Message[] }>('history', ['paged', '--limit', '1']);
    assert.equal(last.messages[0]?.payload, '12');
  });

  it('keeps profiles that only their user can read, and sends a token only to its own service', async () => {
    const config = { XDG_CONFIG_HOME: mkdtempSync(join(scratch, 'profiles-')), JWT_SECRET: '' };
    const add = ['profile', 'add', 'prod', replica.url, '--token', '-', '--json'];
    const added = await rtc(add, config, `${admin}\n`);
    assert.equal(added.code, 0, added.stderr);
    validJson('rtc profile add', added);
    const file = join(config.XDG_CONFIG_HOME, 'rtc', 'profiles.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal((await rtc(['topics'], config)).code, 0);
    const elsewhere = await rtc(['topics', '--url', `http://localhost:${replica.port}`], config);
    assert.deepEqual([elsewhere.code, /there is no token/.test(elsewhere.stderr)], [2, true]);
    const list = await rtc(['profile', 'list'], config);
    assert.match(list.stdout, /\* +prod/);
    assert.ok(!list.stdout.includes(admin));
    writeFileSync(join(config.XDG_CONFIG_HOME, 'token'), `${admin}\n`);
    const byFile = [
      'profile',
      'add',
      'file',
      replica.url,
      '--token-file',
      join(config.XDG_CONFIG_HOME, 'token'),
    ];
    assert.equal((await rtc(byFile, config)).code, 0);
    assert.equal((await rtc(['topics', '--profile', 'file'], config)).code, 0);
    assert.equal((await rtc(['topics', '--profile', 'none'], config)).code, 2);
    const used = await rtc(['profile', 'use', 'file', '--json'], config);
    validJson('rtc profile use', used);
    validJson('rtc profile remove', await rtc(['profile', 'remove', 'file', '--json'], config));
    assert.ok(readFileSync(file, 'utf8').includes('prod'));
    assert.equal((await rtc(['profile', 'use', 'file'], config)).code, 2);
  });

  it('loads neither the service nor its libraries to follow a topic', () => {
    const code = `process.on('exit', () => console.error(Object.keys(require.cache).join('\\n')))`;
    const watch = join(mkdtempSync(join(scratch, 'loaded-')), 'watch.cjs');
    writeFileSync(watch, code);
    const args = ['--require', watch, rtcProgram, 'tail', 'news', '--for', '300ms', '--token', token];
    const { stderr, status } = spawnSync(process.execPath, args, {
      env: rtcEnvironment(target),
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const packages = new Set(
      [...stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)].map(([, name]) => name),
    );
    assert.deepEqual([...packages].sort(), ['commander', 'ws']);
    // Beside itself: what a terminal obeys, as the log knows it, and what reads numbers as the service does.
    assert.deepEqual([...stderr.matchAll(/dist\/server\/(?!cli\/)(\S+)/g)].map(([, file]) => file).sort(), [
      'logging/log-text.js',
      'protocol/exact-json.js',
      'protocol/json-cost.js',
    ]);
  });

  it('switches what operators switch, with a reason, and shows it', async () => {
    const olga = { ...target, ADMIN_TOKEN: tokenOf('olga', { roles: ['operator'] }) };
    const emergency = async (...args: string[]) => {
      const result = await rtc(['emergency', ...args, '--json'], olga);
      assert.equal(result.code, 0, result.stderr);
      return validJson<Json>(`rtc emergency ${args[0]}`, result)[0]!;
    };
    const closed = await emergency('close', '--reason', 'a storm');
    assert.equal(closed['accepts_connections'], false);
    assert.match((await rtc(['emergency'], olga)).stdout, /refused[\s\S]*olga.*a storm/);
    assert.equal((await emergency('open'))['accepts_connections'], true);
    assert.equal((await emergency('mode', 'maintenance'))['mode'], 'maintenance');
    assert.equal((await emergency('mode', 'normal'))['mode'], 'normal');
    assert.deepEqual((await emergency('freeze', 'a/b'))['frozen_topics'], ['a/b']);
    assert.deepEqual((await emergency('unfreeze', 'a/b'))['frozen_topics'], []);
    assert.equal((await emergency('presence', 'shed'))['presence'], 'shed');
    assert.equal((await emergency('presence', 'restore'))['presence'], 'on');
    const rates = await emergency('rates', '--user-rps', '50');
    assert.deepEqual(rates['rate_limits'], { connection_rps: 0, user_rps: 50 });
    const { codes } = await doctorCodes(['--url', replica.url]);
    assert.deepEqual(codes, ['RTC-SWITCH-05']);
    assert.deepEqual((await emergency('rates', '--reset'))['rate_limits'], {
      connection_rps: 0,
      user_rps: 0,
    });
    assert.equal((await rtc(['emergency', 'rates'], olga)).code, 2);
    const limited = await emergency('limit', 'mal lory', '--rps', '5', '--for', '10m', '--reason', 'flood');
    assert.equal(limited['switched']['user_limit:mal lory']['reason'], 'flood');
    assert.deepEqual((await emergency('unlimit', 'mal lory'))['switched'], {});
    assert.equal((await rtc(['emergency', 'unlimit', 'mal lory'], olga)).code, 1);
    assert.equal((await rtc(['emergency', 'limit', 'mal lory'], olga)).code, 2);
    assert.equal((await emergency('disconnect', 'nobody'))['disconnected'], 0);
    assert.equal((await emergency('notify', 'hello', '--level', 'warning'))['notified'], 0);
    assert.equal((await emergency('status'))['mode'], 'normal');
    assert.equal((await rtc(['emergency', 'close'], { ...target, ADMIN_TOKEN: admin })).code, 1);
  });

  it('starts the service, which ends as it does by itself', async () => {
    const port = await freePort();
    const service = new RtcProcess(['start'], { PORT: String(port), HOST: '127.0.0.1', LOG_LEVEL: 'warn' });
    await until(
      async () => (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.ok === true,
      'it listens',
      20_000,
    );
    service.signal('SIGTERM');
    assert.equal((await service.ended()).code, 0);
    const wrong = await rtc(['start'], { PORT: 'x' });
    assert.equal(wrong.code, 2);
  });

  it('prints scripts for completion that complete commands and options', async () => {
    const { stdout } = await rtc(['completion', 'bash']);
    const complete = (...words: string[]) => {
      const line = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _rtc; echo "\${COMPREPLY[@]}"`;
      return spawnSync('bash', ['-c', `${stdout}\n${line}`], { encoding: 'utf8' }).stdout.trim();
    };
    assert.equal(complete('rtc', 'ta'), 'tail');
    assert.equal(complete('rtc', 'token', ''), 'create inspect --help');
    assert.equal(complete('rtc', 'token', 'create', '--ex'), '--expires');
    for (const shell of ['zsh', 'fish'])
      assert.match((await rtc(['completion', shell])).stdout, /'rtc token create'/);
  });
});
