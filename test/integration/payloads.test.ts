import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import { firstSharedAckId } from '../../server/protocol/ack-ids.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const binaryParts = (count: number) => Array.from({ length: count }, (_, n) => Buffer.from([n]));
const textParts = (count: number) => Array.from({ length: count }, () => ({ $base64: 'AQ==' }));
const lookalike = { _placeholder: true, num: 0 };
/** Numbers that JavaScript cannot hold. */
const numbers = '{"id":1152921506151679042,"list":[-0,1e400,0.12345678901234567890]}';

describe('[PAY] what clients publish', function () {
  let embedded: EmbeddedService;
  let ann: Socket;
  let readers: Socket[];
  let json: JsonClient;
  const ends: string[] = [];

  before(async () => {
    embedded = await startEmbedded();
    ann = await connectClient(embedded.url, 'ann');
    readers = [
      await connectClient(embedded.url, 'bob'),
      await connectClient(embedded.url, 'cid', { transports: ['polling'] }),
    ];
    for (const reader of [ann, ...readers]) reader.on('disconnect', (reason) => ends.push(reason));
    json = new JsonClient(embedded.webSocketUrl, 'dan');
    await until(() => json.of('Status').length > 0, 'the /ws client is connected');
  });
  after(async () => {
    for (const socket of [ann, ...readers]) socket.disconnect();
    json.close();
    await embedded.service.close();
  });
  afterEach(() => assert.deepEqual(ends, [], 'a reader was cut off'));

  /** The answer to a frame, as text. */
  const ask = async (frame: string): Promise<string> => {
    const texts: string[] = [];
    const note = (data: Buffer) => texts.push(data.toString());
    json.webSocket.on('message', note);
    json.webSocket.send(frame);
    await until(
      () => texts.some((text) => /"type":"(Ack|Error|Pong|Status)"/.test(text)),
      `an answer to ${frame}`,
    );
    json.webSocket.off('message', note);
    return texts.find((text) => /"type":"(Ack|Error|Pong|Status)"/.test(text))!;
  };
  const post = async (path: string, body: string | Buffer) => {
    const headers = { authorization: `Bearer ${tokenOf('eve')}` };
    const response = await fetch(`${embedded.url}${path}`, { method: 'POST', headers, body });
    return (await response.json()) as TestAnswer;
  };
  const history = async (topic: string): Promise<string> => {
    const headers = { authorization: `Bearer ${tokenOf('eve')}` };
    return (await fetch(`${embedded.url}/api/history?topic=${topic}`, { headers })).text();
  };

  it('is refused with more than ten binary parts, on every way in', async () => {
    const topic = randomUUID();
    const answers = [
      await emit(ann, 'publish', { topic, payload: binaryParts(11) }),
      await emit(readers[0]!, 'publish', { topic, payload: binaryParts(10) }),
      await post('/api/publish', JSON.stringify({ topic, payload: textParts(11) })),
      await post('/api/direct', JSON.stringify({ to: 'bob', payload: textParts(11) })),
    ];
    assert.equal(answers[1]!.ok, true);
    for (const answer of [answers[0]!, ...answers.slice(2)]) {
      assert.equal(answer.error?.code, 'invalid_payload');
      assert.deepEqual([answer.error.field, answer.error.limit, answer.error.size], ['payload', 10, 11]);
    }
    const frame = { type: 'Broadcast', id: 1, data: { topic, payload: textParts(11) } };
    assert.match(await ask(JSON.stringify(frame)), /invalid_payload.*"id":1/);
  });

  it('does not end the connection of a reader, and no part of it stands in another message', async () => {
    const topic = randomUUID();
    const odd: unknown[] = [
      lookalike,
      ...Array.from({ length: 12 }, (_, n) => ({ part: Buffer.from(`secret ${n}`) })),
      { deep: [{ num: 99, _placeholder: true }] },
      binaryParts(10),
      '\u001e4\ud800\u2028\0\ufeff',
      { constructor: 1, toJSON: 'x', hasOwnProperty: null },
      JSON.parse(`${'['.repeat(30)}${']'.repeat(30)}`),
      'x'.repeat(60_000),
    ];
    const received = readers.map((): Message[] => []);
    const onMessage = readers.map((_, i) => (message: Message) => void received[i]!.push(message));
    for (const [i, reader] of readers.entries()) {
      reader.on('message', onMessage[i]!);
      await emit(reader, 'subscribe', { topics: [topic] });
    }
    for (const payload of odd) assert.equal((await emit(ann, 'publish', { topic, payload })).ok, true);
    for (const [i, reader] of readers.entries()) {
      await until(() => received[i]!.length === odd.length, 'everything is received');
      assert.deepEqual(
        received[i]!.map(({ payload }) => payload),
        odd,
      );
      // All pages of the history, each one packet.
      const found: unknown[] = [];
      let position: object = { since: { epoch: received[i]![0]!.epoch, sequence: 0 } };
      for (let isMore = true; isMore;) {
        const answer = await emit(reader, 'history', { topic, ...position });
        found.push(...(answer['messages'] as Message[]).map(({ payload }) => payload));
        isMore = answer['next'] !== undefined;
        position = answer['next'] as object;
      }
      assert.equal(found.length, odd.length);
      assert.deepEqual(found[0], lookalike);
      assert.deepEqual(found[13], odd[13]);
      assert.deepEqual((await emit(reader, 'missed', { since: received[i]![0]!.id })).ok, true);
      reader.off('message', onMessage[i]!);
    }
    const sent = Array.from({ length: 12 }, (_, n) =>
      emit(ann, 'direct', {
        to: 'zoe',
        payload: { part: Buffer.from([n]) },
        confirm: 'stored',
        timeout_ms: 1,
      }),
    );
    await Promise.all(sent);
    const direct: Message[] = [];
    const zoe = await connectClient(embedded.url, 'zoe', {
      transports: ['polling'],
      listen: (socket) => {
        socket.on('direct', (message: Message, done: () => void) => (direct.push(message), done()));
        socket.on('disconnect', (reason) => ends.push(reason));
      },
    });
    await until(() => direct.length === sent.length, 'the inbox is read');
    zoe.removeAllListeners('disconnect').disconnect();
  });

  it('keeps numbers that JavaScript cannot hold, on every wire, live and from history', async () => {
    const topic = randomUUID();
    const raw = await PacketClient.open(embedded.url);
    await raw.join('raw');
    raw.send(`421["subscribe",{"topics":["${topic}"]}]`);
    await until(() => raw.of('431').length > 0, 'subscribed');
    const live: string[] = [];
    json.webSocket.on('message', (data: Buffer) => live.push(data.toString()));
    await ask(`{"type":"Subscribe","id":1,"data":{"topics":["${topic}"]}}`);
    raw.send(`422["publish",{"topic":"${topic}","payload":${numbers}}]`);
    await ask(`{"type":"Broadcast","id":2,"data":{"topic":"${topic}","payload":${numbers}}}`);
    await post('/api/publish', `{"topic":"${topic}","payload":${numbers}}`);
    // Beside a binary part, a packet that Socket.IO itself decodes.
    raw.send(`423["publish",{"topic":"${topic}","payload":{"n":[1,${numbers}]}}]`);
    await until(() => raw.of('42["message"').length === 4, 'four messages');
    for (const packet of raw.of('42["message"')) assert.ok(packet.includes(numbers), packet);
    await until(() => live.filter((text) => text.includes('"Broadcast"')).length === 4, 'four frames');
    for (const text of live.filter((one) => one.includes('"Broadcast"')))
      assert.ok(text.includes(numbers), text);
    assert.equal((await history(topic)).split(numbers).length, 5);
    raw.send(`424["history",{"topic":"${topic}"}]`);
    await until(() => raw.of('434').length > 0, 'history');
    assert.equal(raw.of('434')[0]!.split(numbers).length, 5);
    // A command that Socket.IO itself decodes.
    raw.send(
      `425["direct",{"to":"raw","payload":${numbers},"timeout_ms":1}]`,
      '426["ping",{"timestamp":1152921506151679042}]',
    );
    await until(
      () => raw.of('436').length > 0 && raw.packets.some((packet) => packet.includes('["direct"')),
      'direct',
    );
    assert.ok(raw.packets.find((packet) => packet.includes('["direct"'))!.includes(numbers));
    assert.match(raw.of('436')[0]!, /"timestamp":1152921506151679042,/);
    assert.match(await ask('{"type":"Ping","id":9007199254740993}'), /"id":9007199254740993\}$/);
    raw.close();
  });

  it('reaches listeners of an embedding program as Socket.IO gives it', async () => {
    const socket = [...embedded.service.io.of('/').sockets.values()].find(({ id }) => id === ann.id)!;
    const seen: unknown[] = [];
    const answer = (value: unknown, reply?: (value: unknown) => void) => (seen.push(value), reply?.(value));
    socket.on('own', answer);
    ann.io.engine.write('2["own",{"n":9007199254740993}]');
    assert.deepEqual(await ann.timeout(30_000).emitWithAck('own', { part: Buffer.from('x') }), {
      part: Buffer.from('x'),
    });
    assert.deepEqual(seen, [{ n: 9007199254740992 }, { part: Buffer.from('x') }]);
    socket.off('own', answer);
  });

  it('is refused with a key twice in one object, and answered under its id', async () => {
    const raw = await PacketClient.open(embedded.url);
    await raw.join('raw');
    raw.send(
      '421["publish",{"topic":"a","payload":{"a":1,"\\u0061":2}}]',
      '422["direct",{"to":"a","to":"b","payload":1}]',
    );
    for (const id of ['431', '432']) {
      await until(() => raw.of(id).length > 0, 'refused');
      assert.match(
        raw.of(id)[0]!,
        /"code":"invalid_json","message":"an object has the key \\"(a|to)\\" twice"/,
      );
    }
    raw.close();
    assert.match(
      await ask('{"type":"Broadcast","id":"x","data":{"topic":"a","topic":"b","payload":1}}'),
      /invalid_json.*"id":"x"/,
    );
    assert.equal(
      (await post('/api/publish', '{"topic":"a","payload":{"a":1,"a":1}}')).error?.code,
      'invalid_json',
    );
  });

  it('is refused over HTTP if it is not UTF-8 text', async () => {
    const body = Buffer.concat([
      Buffer.from('{"topic":"a","payload":1,"key":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    assert.deepEqual((await post('/api/publish', body)).error, {
      code: 'invalid_json',
      message: 'the body is not UTF-8 text',
    });
    assert.equal((await post('/api/publish', Buffer.from('\ufeff{"topic":"a","payload":"é"}'))).ok, true);
  });

  it('names whoever it is for and from without control characters and lone surrogates', async () => {
    const fieldOf = async (command: string, request: object) =>
      (await emit(ann, command, request)).error?.field;
    for (const name of ['x\ud800', '\udc00', 'a\0', 'a\nb', '\u0085', '\u2028']) {
      assert.equal(await fieldOf('direct', { to: name, payload: 1 }), 'to');
      assert.equal(await fieldOf('publish', { topic: 'a', payload: 1, key: name }), 'key');
      assert.equal(await fieldOf('missed', { since: randomUUID(), session_id: name }), 'session_id');
      assert.equal(await fieldOf('publish', { topic: name, payload: 1 }), 'topic');
    }
    const first = await emit(ann, 'publish', { topic: 'names', payload: 1, key: 'é' });
    const second = await emit(ann, 'publish', { topic: 'names', payload: 1, key: 'e\u0301' });
    assert.notEqual(first.id, second.id);
  });

  it('may have null in place of what it does not give', async () => {
    const fields = { key: null, confirm: null, timeout_ms: null, trace: null };
    assert.equal((await emit(ann, 'publish', { topic: 'n', payload: null, ...fields })).ok, true);
    assert.equal((await emit(ann, 'subscribe', { topics: ['n'], since: null, presence: null })).ok, true);
    assert.equal((await emit(ann, 'direct', { to: 'bob', payload: 1, ...fields, timeout_ms: 1 })).ok, true);
    assert.equal((await emit(ann, 'history', { topic: 'n', since: null, limit: null })).ok, true);
    assert.equal((await emit(ann, 'missed', { since: randomUUID(), session_id: null })).ok, true);
    assert.equal((await emit(ann, 'ping', { timestamp: null })).ok, true);
    assert.equal(
      (await post('/api/publish', JSON.stringify({ topic: 'n', payload: 1, ...fields }))).ok,
      true,
    );
    assert.match(await ask('{"type":"Ping","id":7,"data":{"timestamp":null}}'), /"Pong".*"id":7/);
    await ask('{"type":"Subscribe","id":8,"data":{"topics":["null-id"],"since":null}}');
    const before = json.received.messages.length;
    json.webSocket.send('{"type":"Broadcast","id":null,"data":{"topic":"null-id","payload":"no answer"}}');
    await until(() => json.received.messages.length > before, 'published');
  });

  it('has acknowledgement ids that every client can read, in namespaces and broadcasts of a program too', async () => {
    const { io } = embedded.service;
    const other = io.of('/other') as unknown as { _ids: number };
    const main = io.of('/') as unknown as { _ids: number };
    other._ids = firstSharedAckId - 1;
    assert.deepEqual([other._ids++, other._ids++], [firstSharedAckId - 1, 0]);
    main._ids = firstSharedAckId - 1;
    const ids: (number | undefined)[] = [];
    const note = (packet: { type: number; id?: number; data?: unknown[] }) =>
      packet.data?.[0] === 'question' && ids.push(packet.id);
    ann.io.on('packet', note);
    ann.on('question', (reply: (answer: number) => void) => reply(1));
    for (let n = 0; n < 2; n++)
      assert.deepEqual(await io.timeout(30_000).to(ann.id!).emitWithAck('question'), [1]);
    assert.deepEqual(ids, [firstSharedAckId - 1, 0]);
    ann.io.off('packet', note);
  });
});
