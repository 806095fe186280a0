import assert from 'node:assert/strict';
import { connect, type ConnectOptions } from '../../server/cli/connect.js';
import { connectClient } from '../support/clients.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

interface Frame {
  readonly type: string;
  readonly data: { readonly payload?: unknown; readonly code?: string };
}

describe('[CLI] rtc connect', () => {
  let replica: TestReplica;
  before(async () => (replica = await TestReplica.start()));
  after(() => replica.end('SIGKILL'));

  async function run(options: Partial<ConnectOptions>, url = replica.url) {
    const frames: Frame[] = [];
    const messages: string[] = [];
    const code = await connect(
      url,
      { token: tokenOf('ann'), subscribe: [], ...options },
      {
        stdout: (text) => frames.push(JSON.parse(text) as Frame),
        stderr: (text) => messages.push(text),
      },
    );
    return { code, frames, stderr: messages.join('\n') };
  }

  it('subscribes, publishes JSON and text, and ends after the requested number of messages', async () => {
    const json = await run({ subscribe: ['news'], publish: ['news', '{"hi":1}'], count: 1 });
    const text = await run({ subscribe: ['news'], publish: ['news', 'hi there'], count: 1 });
    for (const { code, frames } of [json, text]) {
      assert.equal(code, 0);
      assert.equal(frames[0]!.type, 'Status');
    }
    const payloads = [...json.frames, ...text.frames].filter(({ type }) => type === 'Broadcast');
    assert.deepEqual(
      payloads.map(({ data }) => data.payload),
      [{ hi: 1 }, 'hi there'],
    );
  });

  it('ends when its only publish is acknowledged', async () => {
    const { code, frames } = await run({ publish: ['news', '1'] });
    assert.deepEqual([code, frames.at(-1)!.type], [0, 'Ack']);
  });

  it('ends with 1 if fewer messages arrive in time, and with 0 if no number was requested', async () => {
    const few = await run({ subscribe: ['quiet'], for: 200, count: 2 });
    assert.deepEqual([few.code, few.stderr], [1, '0 of 2 messages came']);
    assert.equal((await run({ subscribe: ['quiet'], for: 200 })).code, 0);
  });

  it('ends with 1 and the refusal if the connection, a topic or a publish is refused', async () => {
    const token = await run({ token: 'bad' });
    assert.equal(token.code, 1);
    assert.match(token.stderr, /^refused: 401 .*"unauthorized"/);
    const topic = await run({ subscribe: ['a b'], for: 5000 });
    assert.deepEqual([topic.code, /refused a topic/.test(topic.stderr)], [1, true]);
    const publish = await run({ publish: ['a b', '1'] });
    assert.deepEqual([publish.code, publish.frames.at(-1)!.data.code], [1, 'invalid_topic']);
  });

  it('ends with 2 if its arguments are wrong', async () => {
    assert.equal((await run({ publish: ['news'] })).code, 2);
    assert.equal((await run({}, 'ftp://localhost')).code, 2);
  });

  it('ends with 1 if there is no answer, or the service closes the connection', async () => {
    const unanswered = await run({}, `http://127.0.0.1:${await freePort()}`);
    assert.equal(unanswered.code, 1);
    assert.match(unanswered.stderr, /no connection: .*ECONNREFUSED/);
    const closed = run({ token: tokenOf('mallory'), subscribe: ['news'] });
    const admin = { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
    await until(async () => {
      const init = { method: 'POST', headers: admin };
      const { disconnected } = await replica.json<{ disconnected: number }>(
        '/admin/users/mallory/disconnect',
        init,
      );
      return disconnected === 1;
    }, 'the client is connected');
    assert.equal((await closed).code, 1);
  });

  it('shows direct messages and leaves them in the inbox of their user', async () => {
    const sender = await connectClient(replica.url, 'bob');
    await sender
      .timeout(30_000)
      .emitWithAck('direct', { to: 'dora', payload: 'for later', confirm: 'stored' });
    sender.disconnect();
    for (let look = 0; look < 2; look++) {
      const { code, frames } = await run({ token: tokenOf('dora'), count: 1, for: 5000 });
      assert.deepEqual([code, frames.at(-1)!.data.payload], [0, 'for later'], `look ${look}`);
    }
  });

  it('resumes a session', async () => {
    const first = await run({ subscribe: ['news'], for: 2000 });
    const { session_id: session } = (
      first.frames[0] as unknown as { data: { details: { session_id: string } } }
    ).data.details;
    const again = await run({ session, for: 200 });
    assert.deepEqual(
      (again.frames[0] as unknown as { data: { details: { recovered: boolean } } }).data.details.recovered,
      true,
    );
  });
});
