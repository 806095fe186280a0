import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import type { Service } from '../../server/index.js';
import type { Broker } from '../../server/log/broker.js';
import type { TopicHub } from '../../server/topics/topic-hub.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const rules = [
  { role: 'user', topics: ['*'], allow: ['subscribe', 'publish', 'history', 'direct'] },
  { role: 'reader', topics: ['*'], allow: ['history'] },
];
const lessRights = () => tokenOf('mallory', { roles: ['reader'] });

/** Parts of the service that a program does not see. */
interface Parts {
  readonly messaging: { readonly topics: TopicHub };
  readonly foundation: { readonly storage: { readonly broker: Broker } };
}

/** A client of mallory; its answers are undefined once it is closed. */
interface Sender {
  publish(payload: string): Promise<TestAnswer | undefined>;
  direct(payload: string): Promise<TestAnswer | undefined>;
  /** Undefined: this wire has no connection. */
  readonly refresh?: () => Promise<unknown>;
  readonly leave?: () => void;
}

type Change = (embedded: EmbeddedService, sender: Sender) => Promise<unknown>;

const admin = async ({ url }: EmbeddedService, path: string, body: object = {}) => {
  const headers = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
  const response = await fetch(`${url}/admin/${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, path);
};

/** What happens while a publish waits, and the code of its answer; undefined: its client is gone. */
const changes: Record<
  string,
  { readonly change: Change; readonly code: string; readonly needsConnection?: true }
> = {
  'the tokens of its user are revoked': {
    change: (embedded) => admin(embedded, 'users/mallory/revoke-tokens'),
    code: 'token_revoked',
  },
  'an operator disconnects its client': {
    change: (embedded) => admin(embedded, 'users/mallory/disconnect'),
    code: 'disconnected',
    needsConnection: true,
  },
  'the program disconnects its client': {
    change: ({ service }) => Promise.resolve(service.io.disconnectSockets()),
    code: 'disconnected',
    needsConnection: true,
  },
  'its client takes a token with fewer rights': {
    change: (_embedded, sender) => sender.refresh!(),
    code: 'forbidden',
    needsConnection: true,
  },
  'the service becomes read-only': {
    change: (embedded) => admin(embedded, 'emergency-mode', { mode: 'read_only' }),
    code: 'read_only',
  },
  'the topic is frozen': { change: (embedded) => admin(embedded, 'topics/t/freeze'), code: 'topic_frozen' },
};

function socketSender(socket: Socket): Sender {
  const send = (command: string, request: object) =>
    new Promise<TestAnswer | undefined>((resolve) => {
      socket.once('disconnect', () => resolve(undefined));
      socket.emit(command, request, resolve);
    });
  return {
    publish: (payload) => send('publish', { topic: 't', payload }),
    direct: (payload) => send('direct', { to: 'ann', payload, confirm: 'stored', timeout_ms: 1 }),
    refresh: () => emit(socket, 'refresh', { token: lessRights() }),
    leave: () => void socket.disconnect(),
  };
}

async function jsonSender(url: string): Promise<Sender> {
  const client = new JsonClient(url, 'mallory');
  await until(() => client.of('Status').length === 1, 'the JSON client is connected');
  let last = 0;
  const send = async (type: string, data: object) => {
    const id = ++last;
    client.send({ type, data, id });
    const answer = () => client.frames.find((frame) => frame.id === id);
    await until(() => answer() !== undefined || client.webSocket.readyState === 3, 'an answer, or the end');
    const frame = answer();
    if (frame === undefined) return undefined;
    return frame.type === 'Error'
      ? ({ ok: false, error: frame.data } as unknown as TestAnswer)
      : { ok: true };
  };
  return {
    publish: (payload) => send('Broadcast', { topic: 't', payload }),
    direct: (payload) => send('Direct', { to: 'ann', payload, confirm: 'stored', timeout_ms: 1 }),
    refresh: () => send('RefreshToken', { token: lessRights() }),
    leave: () => client.close(),
  };
}

function httpSender(url: string): Sender {
  const post = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${tokenOf('mallory')}` };
    const response = await fetch(`${url}/api/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return (await response.json()) as TestAnswer;
  };
  return {
    publish: (payload) => post('publish', { topic: 't', payload }),
    direct: (payload) => post('direct', { to: 'ann', payload, confirm: 'stored', timeout_ms: 1 }),
  };
}

/** Lets no append to the log end before it is released. */
function holdAppends(service: Service) {
  const { messaging, foundation } = (service as unknown as { parts: Parts }).parts;
  const { broker } = foundation.storage;
  const append = broker.append.bind(broker);
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  const batches: number[] = [];
  broker.append = async (topic, entries) => {
    batches.push(entries.length);
    await released;
    return append(topic, entries);
  };
  const actors = () => [...messaging.topics.publisher.health().values()];
  const waiting = () => actors().reduce((sum, { mailboxSize }) => sum + mailboxSize, 0);
  return {
    batches,
    release,
    waiting,
    settled: () => messaging.topics.settle(10_000),
  };
}

for (const wire of ['Socket.IO', '/ws', 'HTTP'] as const) {
  describe(`[A5] a message that waits, over ${wire},`, () => {
    let embedded: EmbeddedService;
    let sender: Sender;
    let hasBegun: Promise<void>;
    let goOn: () => void;

    beforeEach(async () => {
      let begin!: () => void;
      hasBegun = new Promise((resolve) => (begin = resolve));
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      const onPublish = async ({ payload }: { payload: unknown }) => {
        if (payload !== 'late') return;
        begin();
        await gate;
      };
      embedded = await startEmbedded(
        { LOG_LEVEL: 'off', RTC_PERMISSIONS: JSON.stringify(rules) },
        { hooks: { onPublish } },
      );
      if (wire === 'HTTP') sender = httpSender(embedded.url);
      else if (wire === '/ws') sender = await jsonSender(embedded.webSocketUrl);
      else sender = socketSender(await connectClient(embedded.url, 'mallory'));
    });
    afterEach(() => embedded.service.close());

    /** What is stored, once another message, to be sent last, is. */
    const storedAtLast = async () => {
      await admin(embedded, 'emergency-mode', { mode: 'normal' });
      await admin(embedded, 'topics/t/unfreeze');
      const ann = await connectClient(embedded.url, 'bob');
      assert.equal((await emit(ann, 'publish', { topic: 't', payload: 'last' })).ok, true);
      const { messages } = await emit(ann, 'history', { topic: 't' });
      ann.disconnect();
      return (messages as { payload: unknown }[]).map(({ payload }) => payload);
    };
    const expectRefusal = (answer: TestAnswer | undefined, code: string) => {
      const isGone = wire !== 'HTTP' && ['disconnected', 'token_revoked'].includes(code);
      if (answer !== undefined || !isGone) assert.equal(answer?.error?.code, code);
    };
    const cases = Object.entries(changes).filter(
      ([, { needsConnection }]) => wire !== 'HTTP' || needsConnection !== true,
    );

    for (const [what, { change, code }] of cases) {
      it(`for the hook of the program is not stored if ${what}`, async () => {
        const answer = sender.publish('late');
        await hasBegun;
        await change(embedded, sender);
        goOn();
        expectRefusal(await answer, code);
        assert.deepEqual(await storedAtLast(), ['last']);
      });
    }

    for (const [what, { change, code }] of cases.filter(([, { code }]) => code !== 'topic_frozen')) {
      it(`for another append, as a direct message, is not stored if ${what}`, async () => {
        const held = holdAppends(embedded.service);
        const first = sender.direct('first');
        await until(() => held.batches.length === 1, 'the first append is in progress');
        const late = sender.direct('late');
        await until(() => held.waiting() === 1, 'the message waits for it');
        await change(embedded, sender);
        held.release();
        expectRefusal(await late, code);
        await first;
        await held.settled();
        assert.deepEqual(held.batches, [1]);
      });
    }

    if (wire !== 'HTTP')
      it('is stored if its client leaves by itself', async () => {
        void sender.publish('late');
        await hasBegun;
        sender.leave!();
        await until(() => embedded.service.io.of('/').sockets.size === 0, 'it has left');
        goOn();
        assert.deepEqual(await storedAtLast(), ['late', 'last']);
      });
  });
}
