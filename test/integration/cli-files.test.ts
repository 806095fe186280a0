import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TestReplica, tokenOf } from '../support/replica.js';
import { rtc, rtcEnvironment, rtcProgram, scratch, validJson } from '../support/rtc.js';
import { freePort } from '../support/wait.js';

interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string };
}

const folder = mkdtempSync(join(scratch, 'files-'));
const named = (name: string, content?: string) => {
  const file = join(folder, name);
  if (content !== undefined) writeFileSync(file, content);
  return file;
};

/** Fails with this exit code, in words and as JSON. */
async function refuses(
  args: readonly string[],
  code: number,
  text: RegExp,
  environment: NodeJS.ProcessEnv = {},
) {
  const result = await rtc([...args, '--json'], environment);
  assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
  const [{ error }] = validJson<ErrorAnswer>('error', result) as [ErrorAnswer];
  assert.equal(error.code, 'usage', args.join(' '));
  assert.match(error.message, text, args.join(' '));
  assert.ok(result.stderr.includes(error.message), args.join(' '));
  assert.doesNotMatch(result.stderr, /^\s+at .*\.js/m);
}

describe('[CLI] rtc and files that cannot be used', function () {
  this.timeout(60_000);
  const directory = join(folder, 'directory');
  mkdirSync(directory);
  const missing = join(folder, 'absent', 'file.json');
  const redis = ['--redis', 'redis://127.0.0.1:1'];

  it('refuses to restore what is missing or a directory, with exit code 2 and before it connects', async () => {
    for (const [file, text] of [
      [named('absent.json'), /absent\.json cannot be read: there is no such file/],
      [directory, /cannot be read: it is a directory/],
      [missing, /cannot be read: there is no such file/],
    ] as const)
      await refuses(['sessions', 'restore', file, ...redis], 2, text);
  });

  it('refuses to restore what is no backup, with exit code 2, and says so if the service ends in the middle', async () => {
    const admin = tokenOf('olga', { roles: ['admin'] });
    const replica = await TestReplica.start();
    try {
      const through = ['--url', replica.url, '--token', admin];
      for (const [content, text] of [
        ['', /the file is empty/],
        ['hello', /no JSON/],
        ['{"a":1}', /no backup of sessions/],
        ['{"format":"other","sessions":[]}', /no backup of sessions/],
        ['[', /damaged or ends before the first session/],
        [Buffer.from([0xff, 0xfe, 0, 1]).toString('latin1'), /no JSON/],
      ] as const)
        await refuses(['sessions', 'restore', named('no-backup.json', content), ...through], 2, text);
      named('list.json', '[]');
      named('list.json.progress', 'no JSON');
      await refuses(
        ['sessions', 'restore', named('list.json'), ...through, '--resume'],
        2,
        /no progress of a restore/,
      );
    } finally {
      await replica.end('SIGKILL');
    }
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const away = await rtc([
      'sessions',
      'backup',
      named('b.json'),
      '--url',
      nobody,
      '--token',
      admin,
      '--json',
    ]);
    const [{ error }] = validJson<ErrorAnswer>('error', away) as [ErrorAnswer];
    assert.deepEqual([away.code, error.code], [1, 'unreachable']);
    await refuses(['sessions', 'backup', named('b.json')], 2, /no address of Redis/);
    await refuses(['sessions', 'backup', named('b.json'), '--url', nobody], 2, /--url needs --token/);
    await refuses(['sessions', 'backup', named('b.json'), '--url', nobody, ...redis], 2, /choose one/);
  });

  it('refuses to write where it cannot, before it begins, and keeps the file that is there', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    for (const file of [missing, directory]) {
      await refuses(['sessions', 'backup', file, ...redis], 2, /cannot be written: (it is|there is no)/);
      await refuses(['load-test', '--report', file, '--url', nobody], 2, /cannot be written/);
      await refuses(['doctor', '--save', file, '--url', nobody], 3, /cannot be written/);
    }
    const report = named('report.html', 'the report of yesterday');
    const failed = await rtc(['load-test', '--report', report, '--url', nobody]);
    assert.equal(failed.code, 3, failed.stderr);
    assert.equal(readFileSync(report, 'utf8'), 'the report of yesterday');
  });

  it('cannot look at a bundle that is missing or none, and does not judge and look at once', async () => {
    await refuses(['doctor', '--from', named('absent.json')], 3, /cannot be read: there is no such file/);
    await refuses(['doctor', '--from', directory], 3, /cannot be read: it is a directory/);
    for (const content of ['', 'hello', 'null', '{}', '{"format":1}'])
      await refuses(
        ['doctor', '--from', named('none.json', content)],
        3,
        /was not written by rtc doctor --save/,
      );
    await refuses(['doctor', '--from', named('none.json'), '--replica', 'http://a'], 3, /without --replica/);
    await refuses(['doctor', '--format', 'nagios'], 3, /--json and --format/);
  });

  it('writes to standard output and through links, and does not put files in their places', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const bundle = named('bundle.json', 'old');
    symlinkSync('bundle.json', join(folder, 'link.json'));
    await rtc(['doctor', '--url', url, '--save', join(folder, 'link.json')]);
    assert.equal(readlinkSync(join(folder, 'link.json')), 'bundle.json');
    assert.equal((JSON.parse(readFileSync(bundle, 'utf8')) as { format: number }).format, 1);
    // A pipe by name, as /dev/stdout is one.
    const pipe = join(folder, 'pipe');
    const line = `mkfifo ${pipe} && { cat ${pipe} & $PROGRAM doctor --url ${url} --save ${pipe} >/dev/null; wait; test -p ${pipe}; }`;
    const env = rtcEnvironment({ PROGRAM: `${process.execPath} ${rtcProgram}` });
    const { status, stdout } = spawnSync('bash', ['-c', line], { env, encoding: 'utf8', timeout: 30_000 });
    assert.equal(status, 0, 'the pipe is still one');
    assert.equal((JSON.parse(stdout) as { format: number }).format, 1);
  });
});

describe('[CLI] rtc profile', function () {
  this.timeout(60_000);
  const config = () => ({ XDG_CONFIG_HOME: mkdtempSync(join(scratch, 'profiles-')), JWT_SECRET: '' });

  it('warns of a token file that is not there, and says so when it is needed', async () => {
    const environment = config();
    const file = join(environment.XDG_CONFIG_HOME, 'token');
    const add = ['profile', 'add', 'prod', 'http://127.0.0.1:1', '--token-file', file, '--json'];
    const added = await rtc(add, environment);
    assert.equal(added.code, 0);
    validJson('rtc profile add', added);
    const warning = /warning: profile prod: the token file \S+token cannot be read: there is no such file/;
    assert.match(added.stderr, warning);
    for (const name of ['list', 'use']) {
      const result = await rtc(['profile', name, ...(name === 'use' ? ['prod'] : [])], environment);
      assert.equal(result.code, 0);
      assert.match(result.stderr, warning);
    }
    await refuses(['topics'], 2, /token file \S+ cannot be read/, environment);
    writeFileSync(file, '\n');
    assert.match((await rtc(['profile', 'list'], environment)).stderr, /token file \S+ is empty/);
    writeFileSync(file, tokenOf('ann'));
    assert.equal((await rtc(['profile', 'list'], environment)).stderr, '');
  });

  it('takes names that a shell and an object can hold, and no others', async () => {
    const environment = config();
    for (const name of [
      '',
      ' ',
      'a b',
      '__proto__',
      '-x',
      'a/b',
      'ü',
      '$(id)',
      'x'.repeat(65),
      '\u001b[31m',
    ]) {
      const args = ['profile', 'add', '--json', '--', name, 'http://a'];
      const result = await rtc(args, environment);
      assert.equal(result.code, 2, name);
      assert.doesNotMatch(result.stderr, /\u001b/);
    }
    assert.equal((await rtc(['profile', 'add', 'eu-west_1.prod', 'a:1'], environment)).code, 0);
    for (const name of ['__proto__', 'constructor', 'toString', 'prod']) {
      await refuses(['profile', 'use', name], 2, /there is no profile/, environment);
      await refuses(['profile', 'remove', name], 2, /there is no profile/, environment);
      await refuses(['topics', '--profile', name], 2, /there is no profile/, environment);
      await refuses(['topics', '--profile', name], 2, /there is no profile/, { JWT_SECRET: '' });
    }
    // A file that was written by hand may have any name; it can be removed.
    const file = join(environment.XDG_CONFIG_HOME, 'rtc', 'profiles.json');
    writeFileSync(
      file,
      '{"current":"constructor","profiles":{"__proto__":{"url":"http://a"},"a b":{"url":"http://b"}}}',
    );
    const [list] = validJson<{ profiles: { name: string }[] }>(
      'rtc profile list',
      await rtc(['profile', 'list', '--json'], environment),
    );
    assert.deepEqual(
      list!.profiles.map(({ name }) => name),
      ['__proto__', 'a b'],
    );
    for (const name of ['__proto__', 'a b'])
      assert.equal((await rtc(['profile', 'remove', name], environment)).code, 0, name);
  });
});

describe('[CLI] sessions of rtc sessions --url', function () {
  this.timeout(60_000);

  it('are not sent anywhere else by a redirection', async () => {
    let arrived = 0;
    const other = createServer((_request, response) => {
      arrived++;
      response.end('{"restored":1,"kept":0,"errors":[]}');
    });
    const first = createServer(({ url }, response) => {
      response.writeHead(307, { location: `${originOf(other)}${url}` }).end();
    });
    for (const server of [other, first])
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    try {
      const file = join(scratch, 'to-be-kept.json');
      const session = { id: randomUUID(), user_id: 'ann', topics: {}, created_at: 1, updated_at: 1 };
      const head = { format: 'rtc-sessions', version: 1, created_at: 1, replica_id: null };
      writeFileSync(file, JSON.stringify({ ...head, sessions: [session] }));
      for (const verb of ['restore', 'backup']) {
        const path = verb === 'restore' ? file : join(scratch, 'redirected.json');
        const result = await rtc(['sessions', verb, path, '--url', originOf(first), '--json'], {
          TOKEN: 'x',
        });
        assert.equal(result.code, 1);
        assert.match(result.stdout + result.stderr, /"code":"redirected"/);
      }
      assert.equal(arrived, 0);
    } finally {
      for (const server of [other, first]) server.close();
    }
  });
});

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
