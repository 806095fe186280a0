import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import WebSocket from 'ws';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { PollingClient } from '../support/polling-client.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const times = <Item>(count: number, make: (n: number) => Item): Item[] =>
  Array.from({ length: count }, (_, n) => make(n));

/** The largest buffer that is made a text, until it is stopped. */
function largestText(): { bytes: number; stop(): void } {
  const { toString } = Buffer.prototype;
  const seen = { bytes: 0, stop: () => void (Buffer.prototype.toString = toString) };
  Buffer.prototype.toString = function (
    this: Buffer,
    encoding?: BufferEncoding,
    start = 0,
    end = this.length,
  ) {
    seen.bytes = Math.max(seen.bytes, Math.min(end, this.length) - start);
    return toString.call(this, encoding, start, end);
  };
  return seen;
}

describe('[LIMITS] what a client sends', function () {
  this.timeout(60_000);
  let embedded: EmbeddedService | undefined;
  const open: { close(): unknown }[] = [];

  const start = async (environment: NodeJS.ProcessEnv = {}): Promise<EmbeddedService> => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off', ...environment });
    return embedded;
  };
  const inbound = () => embedded!.service.metrics.document().inbound;
  const packetClient = async (): Promise<PacketClient> => {
    const client = await PacketClient.open(embedded!.url);
    open.push(client);
    return client;
  };
  const jsonClient = async (userId: string): Promise<JsonClient> => {
    const client = new JsonClient(embedded!.webSocketUrl, userId);
    open.push(client);
    await until(() => client.of('Status').length === 1, `${userId} is connected`);
    return client;
  };
  const post = (body: string) =>
    fetch(`${embedded!.url}/api/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('eve')}` },
      body,
    });
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await embedded?.service.close();
    embedded = undefined;
  });

  describe('in pieces', () => {
    it('is closed with 1008 and an error that names the limit if it has very many fragments', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      client.sendFragments('4', ...times(16_000, () => 'a'));
      await until(() => client.closeCode !== undefined, 'it is closed');
      assert.equal(client.closeCode, 1008);
      assert.match(client.of('42["error"')[0]!, /"code":"message_too_large".*277 fragments.*"limit":277/);
      assert.equal(inbound().closed['fragments'], 1);
    });

    it('is read if it has the fragments of a client with a small buffer', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      client.sendFragments(
        '421["publish",{"topic":"a","payload":"',
        ...times(15, () => 'x'.repeat(4000)),
        '"}]',
      );
      await until(() => client.of('431[{"ok":true').length === 1, 'it is published');
    });

    it('is counted while it is not complete, with that of all transports of its user or address', async () => {
      await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
      const mallory = [await packetClient(), await packetClient(), await packetClient()];
      const strangers = [await packetClient(), await packetClient()];
      for (const client of mallory) await client.join('mallory');
      for (const client of [...mallory, ...strangers]) client.sendBeginning(60_000, 30_000);
      const closed = (clients: readonly PacketClient[]) =>
        clients.filter(({ closeCode }) => closeCode !== undefined);
      await until(
        () => closed(mallory).length === 2 && closed(strangers).length === 1,
        'one is left of each',
      );
      for (const { closeCode } of closed([...mallory, ...strangers])) assert.equal(closeCode, 1008);
      assert.match(
        closed(mallory)[0]!.of('42["error"')[0]!,
        /"code":"at_capacity".*of one caller.*"limit":100000/,
      );
      assert.match(closed(strangers)[0]!.of('44')[0]!, /"code":"at_capacity"/);
      assert.equal(inbound().closed['unfinished'], 3);
      const ann = await packetClient();
      await ann.join('ann');
      ann.send(`421["publish",{"topic":"a","payload":"${'x'.repeat(60_000)}"}]`);
      await until(() => ann.of('431[{"ok":true').length === 1, 'others publish');
    });

    it('lets a user join slowly who has thrown away more than its share a moment ago, and others at once', async () => {
      await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
      const closed = [await packetClient(), await packetClient(), await packetClient()];
      for (const client of closed) await client.join('mallory');
      for (const client of closed) client.sendBeginning(60_000, 45_000);
      await until(() => closed.some(({ closeCode }) => closeCode !== undefined), 'one is closed');
      const ann = await packetClient();
      const again = await Promise.all(times(100, () => packetClient()));
      const joining = again.map((client) => client.join('mallory'));
      await ann.join('ann');
      const joined = again.filter((client) => client.of('42["status"').length > 0).length;
      assert.ok(joined < 80, `${joined} have joined`);
      await Promise.all(joining);
    });

    it('is closed with 1008 if one frame comes in very many chunks', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      await client.sendInChunks(`42["x","${'y'.repeat(60_000)}"]`, 4);
      await until(() => client.closeCode !== undefined, 'it is closed');
      assert.equal(client.closeCode, 1008);
      assert.match(client.closeText, /a frame may come in at most 2018 pieces/);
    });
  });

  describe('as JSON that is costly to read', () => {
    const bombs = ['['.repeat(30_000) + ']'.repeat(30_000), `[${times(33_000, () => '1').join(',')}]`];

    it('is refused with an answer on both wires and over HTTP, and the connection goes on', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      const json = await jsonClient('bob');
      for (const bomb of bombs) {
        client.send(`421["publish",{"topic":"a","payload":${bomb}}]`);
        client.send(`422["direct",{"to":"bob","payload":${bomb}}]`);
        json.sendText(`{"type":"Broadcast","data":{"topic":"a","payload":${bomb}}}`);
        const answer = await post(`{"topic":"a","payload":${bomb}}`);
        assert.equal(answer.status, 400);
        assert.match(await answer.text(), /"code":"invalid_payload"/);
      }
      for (const id of ['431', '432'])
        await until(() => client.of(`${id}[{"ok":false`).length === 2, `${id} is answered`);
      for (const packet of client.of('43')) assert.match(packet, /"code":"invalid_payload"/);
      await until(() => json.of('Error').length === 2, 'the frames are answered');
      client.send('423["ping",{}]');
      await until(() => client.of('433[').length === 1, 'the connection goes on');
    });

    it('is refused with an answer on Socket.IO whatever its command, and however it is written', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      for (const bomb of bombs) {
        const events = [
          `421["subscribe",{"topics":${bomb}}]`,
          `42/,1["unsubscribe",${bomb}]`,
          `421[ "ref\\u0072esh",${bomb}]`,
          `451-1["publish",{"topic":"a","payload":[${bomb},{"_placeholder":true,"num":0}]}]`,
        ];
        for (const event of events)
          client.send(event, ...(event.startsWith('45') ? [Buffer.from('part')] : []));
        client.send(`421["unknown",${bomb}]`);
      }
      await until(() => client.of('431[{"ok":false').length === 10, 'they are answered');
      const refused = client.of('431[').filter((packet) => packet.includes('"code":"invalid_payload"'));
      assert.equal(refused.length, 8);
      client.send('422["ping",{}]');
      await until(() => client.of('432[').length === 1, 'the connection goes on');
    });

    it('is not parsed if it is larger than any command', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      const keys = times(40_000, (n) => `"${n}":"twelve letters"`).join(',');
      for (const command of ['publish', 'subscribe', 'unknown']) client.send(`421["${command}",{${keys}}]`);
      await until(() => client.of('431[{"ok":false').length === 3, 'they are answered');
      const refusals = [
        /"code":"message_too_large".*"limit":229376/,
        /"code":"message_too_large".*"limit":288768/,
        /"code":"unknown_type"/,
      ];
      const answers = client.of('431[');
      for (const refusal of refusals)
        assert.ok(
          answers.some((packet) => refusal.test(packet)),
          `${answers}`,
        );
      const answer = await post(`{${keys}}`);
      assert.equal(answer.status, 413);
      assert.match(await answer.text(), /"code":"message_too_large"/);
    });

    it('is not even made a text if its packet is larger than its command may be', async () => {
      await start();
      const client = await packetClient();
      await client.join('ann');
      const content = `{"topic":"a","payload":"${'x'.repeat(300_000)}"}`;
      const largest = largestText();
      try {
        client.send(`421["publish",${content}]`);
        client.send(`452-/,2["direct",${content}]`, Buffer.from('one'), Buffer.from('two'));
        client.send(`42["publish",${content}]`);
        client.send('423["ping",{}]');
        await until(() => client.of('433[').length === 1, 'the connection goes on');
      } finally {
        largest.stop();
      }
      const tooLarge = /"code":"message_too_large".* 3\d{5} bytes; it may have 229376"/;
      for (const packet of ['431[', '432[', '42["error"']) {
        assert.equal(client.of(packet).length, 1, `${packet} once`);
        assert.match(client.of(packet)[0]!, tooLarge);
      }
      assert.ok(largest.bytes < 1000, `${largest.bytes} bytes were made a text`);
    });

    for (const event of ['packet', 'message', 'data'] as const)
      it(`is seen whole by a program that listens to each ${event} of a connection, and is refused`, async () => {
        const { service } = await start();
        const sizes: number[] = [];
        service.io.on('connection', ({ conn }) => {
          const seen = (packet: string | { readonly data?: string }) =>
            void sizes.push((typeof packet === 'string' ? packet : (packet.data ?? '')).length);
          (conn as unknown as EventEmitter).on(event, seen);
        });
        const client = await packetClient();
        await client.join('ann');
        const packet = `21["publish",{"topic":"a","payload":"${'x'.repeat(300_000)}"}]`;
        client.send(`4${packet}`);
        await until(() => client.of('431[').length === 1, 'it is refused');
        assert.match(client.of('431[')[0]!, /"code":"message_too_large"/);
        assert.ok(sizes.includes(packet.length), `its sizes: ${sizes.join()}`);
      });

    it('is an event of a program also if its name is a fraction', async () => {
      const { service } = await start();
      const names: string[] = [];
      service.io.on('connection', (socket) => socket.on('1.5', () => names.push('1.5')));
      const client = await packetClient();
      await client.join('ann');
      client.send(`421[1.5,"${'x'.repeat(300_000)}"]`);
      await until(() => names.length > 0 || client.of('431[').length > 0, 'it is passed on, or refused');
      assert.deepEqual([names, client.of('431[')], [['1.5'], []]);
    });

    it('is not a payload of full size, also where its back end escapes everything', async () => {
      await start();
      const payload = 'é'.repeat(32_000);
      const body = JSON.stringify({ topic: 'a', payload }).replaceAll('é', '\\u00e9');
      assert.ok(body.length > 190_000);
      assert.equal((await post(body)).status, 200);
    });
  });

  describe('before it has joined', () => {
    it('is 32 packets of long-polling at most, and those behind them are not run', async () => {
      await start();
      const client = await PollingClient.open(embedded!.url);
      const posted = client.post(...times(5000, () => '40{"token":"x"}'));
      const packets = await client.pollUntil((got) => got.some((packet) => packet.includes('32 packets')));
      assert.equal((await posted).status, 200);
      const refused = packets.filter((packet) => packet.includes('unauthorized'));
      assert.ok(refused.length <= 32, `${refused.length} were tried`);
      assert.ok(embedded!.service.metrics.document().refused.unauthorized! <= 32);
      assert.deepEqual(inbound().closed['before_join'], 1);
      await until(() => embedded!.service.io.engine.clientsCount === 0, 'the transport is closed');
    });

    it('is 32 packets of a WebSocket at most, with a refusal that names the limit, and code 1008', async () => {
      await start();
      const client = await packetClient();
      client.send(...times(2000, (n) => `40/unknown-${n},`));
      await until(() => client.closeCode !== undefined, 'it is closed');
      assert.equal(client.closeCode, 1008);
      assert.equal(client.of('44/unknown-').length, 32);
      assert.match(client.of('44{')[0]!, /"code":"rate_limited".*"limit":32/);
    });

    it('is one token and its positions: a frame that is larger closes the transport', async () => {
      await start({ RTC_WEBSOCKET_MAX_JOIN_BYTES: '2000' });
      const client = await packetClient();
      client.send(`40${JSON.stringify({ token: tokenOf('ann'), junk: 'x'.repeat(2000) })}`);
      await until(() => client.closeCode !== undefined, 'it is closed');
      assert.equal(client.closeCode, 1009);
      const other = await packetClient();
      await other.join('ann');
      other.send(`420${JSON.stringify(['publish', { topic: 'a', payload: 'x'.repeat(60_000) }])}`);
      await until(() => other.of('430[{"ok":true').length === 1, 'a large frame is read after the join');
    });

    it('waits on /ws when it is much, and is run in order afterwards', async () => {
      await start();
      const client = new JsonClient(embedded!.webSocketUrl, 'ann');
      open.push(client);
      client.webSocket.on('open', () => {
        for (let n = 0; n < 2000; n++) client.send({ type: 'Ping', id: n, data: {} });
      });
      await until(() => client.of('Pong').length === 2000, 'all are answered');
      assert.deepEqual(
        client.of('Pong').map(({ id }) => id),
        times(2000, (n) => n),
      );
    });
  });

  it('is run in order and answered completely, however much comes in one body', async () => {
    await start();
    const client = await PollingClient.open(embedded!.url);
    await client.post(PacketClient.joining('ann').slice(0));
    await client.pollUntil((got) => got.some((packet) => packet.startsWith('42["status"')));
    const count = 3000;
    const body = times(count, (n) => `42${n}["publish",{"topic":"body.${n % 10}","payload":${n}}]`);
    const posted = client.post(...body);
    const answers = (packets: readonly string[]) => packets.filter((packet) => packet.startsWith('43'));
    const packets = await client.pollUntil((got) => answers(got).length === count);
    assert.deepEqual(await posted, { status: 200, text: 'ok' });
    assert.ok(answers(packets).every((packet) => packet.includes('"ok":true')));
    const history = await emit(await reader(), 'history', { topic: 'body.3', limit: 1000 });
    assert.deepEqual(
      (history['messages'] as { payload: number }[]).map(({ payload }) => payload),
      times(300, (n) => n * 10 + 3),
    );
  });

  const reader = async () => {
    const client = await connectClient(embedded!.url, 'reader');
    open.push(client);
    return client;
  };

  describe('while its commands wait for each other', () => {
    const topics = ['waits'];
    let release: () => void;
    beforeEach(async () => {
      const hook = new Promise<void>((resolve) => (release = resolve));
      embedded = await startEmbedded({ LOG_LEVEL: 'off' }, { hooks: { onSubscribe: () => hook } });
    });
    /** Resolves when no further commands are read. */
    const isNotRead = async () => {
      const { commands } = inbound();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return commands >= 32 && inbound().commands === commands;
    };

    it('is not read further on Socket.IO, and is run in order afterwards', async () => {
      const client = await packetClient();
      await client.join('ann');
      for (let n = 0; n < 3000; n++) client.send(`42${n}["subscribe",${JSON.stringify({ topics })}]`);
      await until(isNotRead, 'the client is not read any more');
      assert.ok(inbound().commands < 300, `${inbound().commands} commands`);
      release();
      await until(() => client.of('43').length === 3000, 'all are answered', 20_000);
      assert.deepEqual(
        client.of('43').map((packet) => Number(/^43(\d+)/.exec(packet)![1])),
        times(3000, (n) => n),
      );
    });

    it('is not read further on /ws, and is run in order afterwards', async () => {
      const client = await jsonClient('ann');
      for (let n = 0; n < 3000; n++) client.send({ type: 'Subscribe', id: n, data: { topics } });
      await until(isNotRead, 'the client is not read any more');
      assert.ok(inbound().commands < 300, `${inbound().commands} commands`);
      release();
      const answers = () => client.of('Status').filter(({ id }) => id !== undefined);
      await until(() => answers().length === 3000, 'all are answered', 20_000);
      assert.deepEqual(
        answers().map(({ id }) => id),
        times(3000, (n) => n),
      );
    });
  });

  it('has binary parts of limited size together: otherwise an error names the limit, and code 1008', async () => {
    await start({ RTC_WEBSOCKET_TRANSPORT_LIMIT_BYTES: '100000' });
    const client = await packetClient();
    await client.join('ann');
    client.send('4510-["publish",{}]', ...times(9, () => Buffer.alloc(90_000)));
    await until(() => client.closeCode !== undefined, 'it is closed');
    assert.equal(client.closeCode, 1008);
    assert.match(client.of('42["error"')[0]!, /"code":"message_too_large".*"limit":100000/);
    assert.equal(inbound().closed['parts'], 1);
  });

  it('may be binary parts within the limit', async () => {
    await start();
    const client = await packetClient();
    await client.join('ann');
    const part = '{"_placeholder":true,"num":0}';
    for (let n = 0; n < 20; n++)
      client.send(`451-${n}["publish",{"topic":"a","payload":${part}}]`, Buffer.alloc(40_000));
    await until(() => client.of('43').length === 20, 'all are answered');
    assert.ok(client.of('43').every((packet) => packet.includes('"ok":true')));
  });

  it('is counted by the rate of commands also where there is no such command', async () => {
    await start({ RTC_LIMITS_CONNECTION_RPS: '5' });
    const client = await packetClient();
    await client.join('ann');
    client.send(...times(50, (n) => `42${n}["nothing",{}]`));
    await until(() => client.of('43').length === 50, 'all are answered');
    const json = await jsonClient('bob');
    for (let n = 0; n < 25; n++) {
      json.webSocket.send('no JSON');
      json.send({ type: 'Nothing', id: n, data: {} });
    }
    await until(() => json.of('Error').length === 50, 'all are answered');
    const limited = [
      client.of('43').filter((packet) => packet.includes('rate_limited')).length,
      json.of('Error').filter(({ data }) => data['code'] === 'rate_limited').length,
    ];
    // A second and more may pass meanwhile.
    for (const count of limited) assert.ok(count >= 20 && count <= 45, `${count} of 50 were over the rate`);
  });

  describe('as one large command', () => {
    const since = (topics: number, position: unknown) =>
      Object.fromEntries(times(topics, (n) => [`t${n}`, position]));

    it('on Socket.IO is refused unread, with the limit and its size, however its name is written', async () => {
      await start();
      const client = await packetClient();
      await client.join('alice');
      const request = `{"topics":["a"],"since":${JSON.stringify(since(50_000, 0))}}`;
      const commands = [
        `421["subscribe",${request}]`,
        `422[ "s\\u0075bscribe" , ${request}]`,
        `451-3["subscribe",{"part":{"_placeholder":true,"num":0},${request.slice(1)}]`,
        `424["publish",${request}]`,
      ];
      for (const [i, command] of commands.entries()) {
        client.send(command, ...(command.startsWith('45') ? [Buffer.from('part')] : []));
        await until(() => client.of(`43${i + 1}[`).length === 1, `command ${i} is answered`);
        const [answer] = JSON.parse(client.of(`43${i + 1}[`)[0]!.slice(3)) as {
          error: Record<string, unknown>;
        }[];
        const { code, limit, size } = answer!.error;
        assert.deepEqual([code, limit], ['message_too_large', i === 3 ? 229_376 : 288_768]);
        assert.ok((size as number) > request.length);
      }
      // Neither is a command that there is not, and a name may be a number.
      for (const event of ['2/,6["error"', '27[ 1 ']) client.send(`4${event},${request}]`);
      for (const id of [6, 7])
        await until(() => client.of(`43${id}[`).length === 1, `event ${id} is answered`);
      client.send('425["subscribe",{"topics":["a"]}]');
      await until(() => client.of('435[{"ok":true').length === 1, 'a later command runs');
    });

    it('on /ws is refused with its id, or runs if it has a position for each topic of a connection', async () => {
      await start();
      const client = await jsonClient('alice');
      const position = { epoch: '0123456789', sequence: 1 };
      const topics = Object.fromEntries(times(1000, (n) => [String(n).padStart(150, 'n'), position]));
      client.send({ type: 'Subscribe', id: 1, data: { topics: ['a'], since: topics } });
      await until(() => client.of('Status').some(({ id }) => id === 1), 'it is subscribed');
      const missed = (positions: object) => ({ since: '00000000-0000-7000-8000-000000000000', positions });
      client.send({ type: 'GetMissedMessages', id: 2, data: missed(since(2001, position)) });
      client.send({ type: 'Broadcast', id: 3, data: { topic: 'a', payload: 'x'.repeat(100_000) } });
      client.send({ type: 'Subscribe', data: { topics: ['a'], since: since(50_000, 0) } });
      await until(() => client.of('Error').length === 3, 'each of the others is refused');
      const errors = client
        .of('Error')
        .map(({ id, data: { code, field, limit } }) => [id, code, field, limit]);
      assert.deepEqual(
        errors.sort(([a], [b]) => Number(a ?? 9) - Number(b ?? 9)),
        [
          [2, 'invalid_message', 'positions', 2000],
          [3, 'message_too_large', undefined, 65_536],
          [undefined, 'message_too_large', undefined, 65_536],
        ],
      );
    });

    it('over HTTP is refused by the size of its body', async () => {
      await start();
      const response = await fetch(`${embedded!.url}/api/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokenOf('alice')}`, 'content-type': 'application/json' },
        body: JSON.stringify({ topic: 'a', payload: 'x'.repeat(300_000) }),
      });
      assert.equal(response.status, 413);
      const { error } = (await response.json()) as { error: { code: string; limit: number } };
      assert.deepEqual([error.code, error.limit], ['message_too_large', 229_376]);
    });

    it('cannot be the packet by which a client joins again', async () => {
      await start();
      const client = await packetClient();
      await client.join('alice');
      client.send('41', `40{"positions":${JSON.stringify(since(50_000, 0))}}`);
      await until(() => client.closeCode !== undefined, 'it is closed');
      assert.equal(client.closeCode, 1008);
      assert.deepEqual(inbound().closed['join_bytes'], 1);
    });
  });

  it('has no id of more than 200 characters on /ws, which comes back to nobody', async () => {
    await start();
    const client = await jsonClient('ann');
    client.send({ type: 'Ping', id: 'x'.repeat(200), data: {} });
    client.send({ type: 'Ping', id: 'x'.repeat(201), data: {} });
    await until(() => client.of('Error').length === 1, 'the longer one is refused');
    assert.equal(client.of('Pong')[0]!.id, 'x'.repeat(200));
    const { data, id } = client.of('Error')[0]!;
    assert.deepEqual(
      [data['code'], data['field'], data['limit'], id],
      ['invalid_message', 'id', 200, undefined],
    );
  });

  it('is not read while errors and acknowledgements on /ws are not read', async () => {
    await start({ RTC_LIMITS_WASTE_PACKETS_PER_SEC: '0', RTC_OUTBOX_LIMIT_BYTES: '20000' });
    const client = await jsonClient('ann');
    const tcp = (
      client.webSocket as unknown as { _socket: { pause(): void; resume(): void; bytesWritten: number } }
    )._socket;
    tcp.pause();
    const frame = JSON.stringify({
      type: 'Ack',
      id: 'x'.repeat(200),
      data: { message_id: 'y'.repeat(1000) },
    });
    let sent = 0;
    // Until the kernel's buffers of both directions are full: nobody reads, and nobody is read.
    const isFull = async () => {
      for (let n = 0; n < 500; n++) client.webSocket.send(frame);
      sent += 500;
      const before = client.webSocket.bufferedAmount;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before > 0 && client.webSocket.bufferedAmount === before;
    };
    await until(isFull, 'the client is not read any more');
    assert.ok(embedded!.service.io.engine !== undefined);
    tcp.resume();
    await until(() => client.of('Ack').length === sent, 'everything is answered in the end');
  });

  it('holds nothing of the limits any more when its client goes away with commands waiting', async () => {
    await start({ RTC_OUTBOX_LIMIT_BYTES: '20000' });
    const writer = await connectClient(embedded!.url, 'writer');
    open.push(writer);
    for (let n = 0; n < 100; n++)
      await emit(writer, 'publish', { topic: 'long', payload: 'x'.repeat(10_000) });
    const packets = await packetClient();
    await packets.join('ann');
    const json = await jsonClient('bea');
    packets.stall();
    (json.webSocket as unknown as { _socket: { pause(): void } })._socket.pause();
    packets.send(...times(300, (n) => `42${n}["history",{"topic":"long","limit":100}]`));
    for (let n = 0; n < 300; n++)
      json.webSocket.send(JSON.stringify({ type: 'GetHistory', id: n, data: { topic: 'long', limit: 100 } }));
    await until(() => inbound().commands > 100, 'commands wait');
    packets.close();
    json.webSocket.terminate();
    await until(() => inbound().commands === 0 && inbound().bytes === 0, 'they hold nothing');
  });

  it('ends by heartbeats when a client that is not read goes away', async () => {
    await start({
      RTC_WEBSOCKET_MAX_INFLIGHT_COMMANDS: '1',
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '2',
    });
    const silent = await connectClient(embedded!.url, 'silent');
    open.push(silent);
    await emit(silent, 'subscribe', { topics: ['slow'] });
    const client = new WebSocket(
      `${embedded!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`,
    );
    client.on('error', () => {});
    client.on('open', () => client.send(PacketClient.joining('gone')));
    await until(() => embedded!.service.metrics.document().active_connections === 2, 'both are connected');
    for (let n = 0; n < 5; n++)
      client.send(`42${n}["publish",{"topic":"slow","payload":1,"confirm":"delivered","timeout_ms":60000}]`);
    await until(() => inbound().paused === 1, 'it is not read');
    // It answers nothing from now on, and does not say that it goes.
    (client as unknown as { _socket: { pause(): void } })._socket.pause();
    await until(() => embedded!.service.metrics.document().active_connections === 1, 'it is closed', 20_000);
    client.terminate();
  });

  describe('while Redis is stalled', () => {
    let redis: TestRedis;
    beforeEach(async () => {
      redis = await TestRedis.start();
      await start({
        REDIS_URL: redis.url,
        RTC_WEBSOCKET_MAX_INFLIGHT_BYTES: '500000',
        RTC_REDIS_COMMAND_TIMEOUT_MS: '60000',
      });
    });
    afterEach(async () => {
      for (const one of open.splice(0)) one.close();
      await redis.signal('SIGCONT');
      await embedded?.service.close();
      embedded = undefined;
      await redis.stop();
    });

    const payload = 'x'.repeat(50_000);
    /** Resolves when the bytes under way do not grow any more. */
    const isHeld = async () => {
      const { bytes } = inbound();
      await new Promise((resolve) => setTimeout(resolve, 200));
      return bytes > 0 && inbound().bytes === bytes;
    };

    it('is a bounded number of bytes from Socket.IO, and is stored afterwards', async () => {
      const client = await packetClient();
      await client.join('ann');
      await redis.signal('SIGSTOP');
      for (let n = 0; n < 100; n++)
        client.send(`42${n}["publish",{"topic":"new.${n}","payload":"${payload}"}]`);
      await until(isHeld, 'the client is not read any more');
      assert.ok(inbound().bytes <= 600_000, `${inbound().bytes} bytes`);
      await redis.signal('SIGCONT');
      await until(() => client.of('43').length === 100, 'all are answered', 20_000);
      assert.ok(client.of('43').every((packet) => packet.includes('"ok":true')));
      await until(() => inbound().bytes === 0, 'nothing is under way');
    });

    it('is a bounded number of bytes from /ws, and is stored afterwards', async () => {
      const client = await jsonClient('ann');
      await redis.signal('SIGSTOP');
      for (let n = 0; n < 100; n++)
        client.send({ type: 'Broadcast', id: n, data: { topic: `new.${n}`, payload } });
      await until(isHeld, 'the client is not read any more');
      assert.ok(inbound().bytes <= 600_000, `${inbound().bytes} bytes`);
      await redis.signal('SIGCONT');
      await until(() => client.of('Ack').length === 100, 'all are answered', 20_000);
      await until(() => inbound().bytes === 0, 'nothing is under way');
    });
  });
});
