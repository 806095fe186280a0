import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { Socket } from 'socket.io-client';
import { connectClient } from '../support/clients.js';
import { TestReplica } from '../support/replica.js';
import { rtc, rtcEnvironment, rtcProgram, validJson } from '../support/rtc.js';
import { until } from '../support/wait.js';

describe('[CLI] rtc top', function () {
  this.timeout(60_000);
  const session = `rtc-top-${process.pid}`;
  const tmux = (...args: string[]) =>
    spawnSync('tmux', ['-u', '-L', session, ...args], {
      encoding: 'utf8',
      env: rtcEnvironment({ RTC: replica.url, TERM: 'xterm', LANG: 'C.UTF-8' }),
    }).stdout;
  const screen = () => tmux('capture-pane', '-p', '-t', session);
  let replica: TestReplica;
  let flooder: Socket;
  let reader: Socket;
  let flood: NodeJS.Timeout | undefined;

  before(async () => {
    replica = await TestReplica.start({ REPLICA_ID: 'a-replica-with-a-name-that-is-rather-long' });
    [flooder, reader] = await Promise.all([
      connectClient(replica.url, 'mallory'),
      connectClient(replica.url, 'ann'),
    ]);
    await reader.emitWithAck('subscribe', { topics: ['orders', 'quiet'] });
  });
  after(async () => {
    clearInterval(flood);
    tmux('kill-server');
    for (const socket of [flooder, reader]) socket?.disconnect();
    await replica?.end('SIGKILL');
  });

  it('shows a flood’s user and topic, at 80 columns, and quits cleanly', async () => {
    const shell = `env -u TMUX ${process.execPath} ${rtcProgram} top; echo ended with $?; sleep 60`;
    tmux('new-session', '-d', '-s', session, '-x', '80', '-y', '24', shell);
    await until(() => /rtc top +http/.test(screen()), 'it is there', 20_000);
    flood = setInterval(() => {
      for (let n = 0; n < 10; n++) flooder.emit('publish', { topic: 'orders', payload: n });
    }, 20);
    await until(
      () => /^mallory +[1-9]\d\d/m.test(screen()) && /^orders +[1-9]\d\d/m.test(screen()),
      'it shows the flood',
      15_000,
    );
    const lines = screen().split('\n');
    assert.ok(lines.every((line) => line.length <= 80));
    assert.match(lines.join('\n'), /^a-replica-with-a-name-t… +2 /m);
    tmux('send-keys', '-t', session, 'q');
    await until(() => /ended with 0/.test(screen()), 'it has quit');
    assert.doesNotMatch(screen(), /rtc top/, 'what was on the screen before is there again');
  });

  it('keeps names of wide characters on one line, follows the size of the terminal, and quits while the service is stopped', async () => {
    const wide = await connectClient(replica.url, `日本語の名前${'😀'.repeat(30)}`);
    const other = `${session}-2`;
    const shown = () => tmux('capture-pane', '-p', '-t', other);
    const sending = setInterval(() => wide.emit('publish', { topic: 'orders', payload: 1 }), 20);
    try {
      const command = `env -u TMUX ${process.execPath} ${rtcProgram} top --interval 3s --timeout 10m; echo ended with $?; sleep 60`;
      tmux('new-session', '-d', '-s', other, '-x', '80', '-y', '24', command);
      await until(
        () => /^日本語の名前😀+… +\d+ +\d+ +0 +0$/mu.test(shown()),
        'the name is on one line',
        20_000,
      );
      tmux('resize-window', '-t', other, '-x', '120', '-y', '24');
      await until(() => /^日本語の名前😀+ {2,}\d+ +\d+ +0 +0$/mu.test(shown()), 'it uses the width');
      replica.signal('SIGSTOP');
      // The look that is under way when it quits has no answer.
      await new Promise((resolve) => setTimeout(resolve, 3500));
      tmux('send-keys', '-t', other, 'q');
      await until(() => /ended with 0/.test(shown()), 'it has quit');
    } finally {
      replica.signal('SIGCONT');
      clearInterval(sending);
      wide.disconnect();
    }
  });

  it('prints the same figures as JSON, and needs a terminal otherwise', async () => {
    const result = await rtc(['top', '--json', '--count', '1', '--url', replica.url]);
    assert.equal(result.code, 0, result.stderr);
    // The first look, so a second after it begins, names who floods what.
    const [view] = validJson<{
      connections: number;
      users: { name: string }[];
      topics: { topic: string }[];
    }>('rtc top', result);
    assert.deepEqual(
      [view!.connections, view!.users[0]?.name, view!.topics[0]?.topic],
      [2, 'mallory', 'orders'],
    );
    assert.equal((await rtc(['top', '--url', replica.url])).code, 2);
  });
});
