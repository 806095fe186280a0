import assert from 'node:assert/strict';
import { decodePayload, encodePayload, type Packet as EnginePacket } from 'engine.io-parser';
import fc from 'fast-check';
import { Decoder, Encoder, PacketType, type Packet } from 'socket.io-parser';
import { RefusalError } from '../../../shared/errors.js';
import type { Message } from '../../../shared/message.js';
import { messagesOf, pageLimits } from '../../../server/commands/answer-page.js';
import { DeliveryBatch } from '../../../server/fanout/delivery-batch.js';
import { dropNotice } from '../../../server/fanout/frames.js';
import { ExactEncoder } from '../../../server/gateway/engine-internals/exact-parser.js';
import type { LogEntry } from '../../../server/log/broker.js';
import { encodeEntry, entryToMessage } from '../../../server/log/entry.js';
import { fitPage } from '../../../server/log/page.js';
import type { Wire } from '../../../server/protocol/connection.js';
import { ExactNumber, parseExactly, stringify } from '../../../server/protocol/exact-json.js';
import { isName } from '../../../server/protocol/name.js';
import { readPayload } from '../../../server/protocol/payload.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** A payload as a client of one wire sends it, as its parser has read it. */
interface Sent {
  readonly wire: Wire;
  readonly payload: unknown;
}

const oddText = fc.constantFrom(
  '\ud800',
  'x\udfff',
  '\u2028',
  '\0',
  '\ufeff',
  '\u001e4',
  '😀',
  '"]',
  '\u001eb',
  '51-["x"]',
);
const word = fc.oneof(fc.string({ unit: 'binary', maxLength: 6 }), oddText);
const key = fc.oneof(
  word,
  fc.constantFrom('constructor', 'toJSON', 'num', 'length', 'then', 'base64', '_placeholder'),
);
const lookalike = fc.record({
  _placeholder: fc.constantFrom<unknown>(true, true, 1, 'true'),
  num: fc.constantFrom<unknown>(0, 1, -1, 0.5, 99, '0'),
});
const binary = (wire: Wire) =>
  fc.uint8Array({ maxLength: 5 }).map((bytes) => {
    const part = Buffer.from(bytes);
    return wire === 'socketio' ? part : { $base64: part.toString('base64') };
  });
const exactNumber = fc
  .constantFrom('12345678901234567890', '1e400', '-0', '0.10000000000000000555')
  .map(parseExactly);
const tree = (wire: Wire) =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(word, fc.integer(), fc.boolean(), fc.constant(null), exactNumber, lookalike, binary(wire)),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      fc.array(binary(wire), { minLength: 1, maxLength: 12 }),
    ),
  })).value;
const sent = (wire: Wire): fc.Arbitrary<Sent> => tree(wire).map((payload) => ({ wire, payload }));
const publishes = fc.array(fc.oneof(sent('socketio'), sent('json')), { minLength: 1, maxLength: 12 });

/** Entries of the payloads that are accepted. */
function accepted(all: readonly Sent[]): { entries: LogEntry[]; payloads: unknown[] } {
  const entries: LogEntry[] = [];
  const payloads: unknown[] = [];
  for (const { wire, payload } of all) {
    try {
      const { json, attachments } = readPayload(payload, wire, { maxBytes: 65_536, maxDepth: 32 });
      const id = String(entries.length).padStart(36, '0');
      const entry = encodeEntry({
        id,
        topic: 't',
        payloadJson: json,
        attachments,
        sender: 'a',
        timestamp: 1,
      });
      entries.push({ sequence: entries.length + 1, entry });
      payloads.push(readable(payload));
    } catch (error) {
      assert.ok(error instanceof RefusalError, String(error));
    }
  }
  return { entries, payloads };
}

/** A payload in one form for all wires: binary parts as text, numbers as JavaScript reads them. */
function readable(value: unknown): unknown {
  if (value instanceof ExactNumber) return Number(value.text);
  if (Buffer.isBuffer(value)) return `binary:${value.toString('hex')}`;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  const { $base64: content } = value as { $base64?: string };
  if (content !== undefined) return `binary:${Buffer.from(content, 'base64').toString('hex')}`;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, readable(item)]));
}

/** What the stock parser of a client makes of packets. It throws where the client would close the connection. */
function decoded(packets: readonly unknown[]): Packet[] {
  const decoder = new Decoder();
  const found: Packet[] = [];
  decoder.on('decoded', (packet: Packet) => found.push(packet));
  for (const packet of packets) decoder.add(packet);
  decoder.destroy();
  return found;
}

/** The packets in unmasked WebSocket frames. */
function packetsIn(bytes: Buffer): unknown[] {
  const found: unknown[] = [];
  for (let at = 0; at < bytes.length;) {
    const isText = (bytes[at]! & 15) === 1;
    let length = bytes[at + 1]!;
    let start = at + 2;
    if (length === 126) [length, start] = [bytes.readUInt16BE(at + 2), at + 4];
    else if (length === 127) [length, start] = [bytes.readUInt32BE(at + 6), at + 10];
    const content = bytes.subarray(start, start + length);
    if (isText) assert.equal(content[0], 0x34, 'an Engine.IO message');
    found.push(isText ? content.toString('utf8', 1) : content);
    at = start + length;
  }
  return found;
}

/** The packets as a long-polling client receives them: in one body. */
async function polled(packets: readonly (string | Buffer)[]): Promise<unknown[]> {
  const body = await new Promise<string>((resolve) =>
    encodePayload(
      packets.map((data): EnginePacket => ({ type: 'message', data })),
      resolve,
    ),
  );
  return decodePayload(Buffer.from(body).toString(), 'nodebuffer').map(({ type, data }) => {
    assert.equal(type, 'message');
    return data as unknown;
  });
}

const payloadsOf = (packets: readonly Packet[]) =>
  packets.map(({ data }) => readable((data as [string, Message])[1].payload));

describe(`[PAY] the stock parsers of Socket.IO's clients (seed ${seed})`, () => {
  it('read every accepted message as it was sent, live and after a poll, with an acknowledgement id or without', async () => {
    await fc.assert(
      fc.asyncProperty(publishes, fc.boolean(), async (all, isAwaited) => {
        const { entries, payloads } = accepted(all);
        if (entries.length === 0) return;
        const ackIdOf = isAwaited ? () => 2 ** 31 - 1 : undefined;
        for (const event of ['message', 'direct'] as const) {
          const batch = new DeliveryBatch('t', [{ epoch: 'e', entries }], event, ackIdOf);
          const live = decoded(packetsIn(batch.socketIoFrames()));
          assert.deepEqual(payloadsOf(live), payloads);
          for (const packet of live) assert.equal(packet.id, ackIdOf?.());
          assert.deepEqual(payloadsOf(decoded(await polled(batch.socketIoPackets()))), payloads);
        }
      }),
      { seed, numRuns: 300 },
    );
  });

  it('read every answer with messages: no part of one message stands in another', () => {
    const settings = { maxHistoryAnswer: 1000, maxHistoryAnswerBytes: 1_000_000 };
    fc.assert(
      fc.property(publishes, fc.constantFrom('oldest', 'newest'), (all, keep) => {
        const { entries, payloads } = accepted(all);
        for (let rest: readonly LogEntry[] = entries; rest.length > 0;) {
          const page = fitPage(rest, pageLimits('socketio', 1000, settings), keep);
          const items = page.map((item) => ({ item, epoch: 'e' }));
          const messages = messagesOf('socketio', items);
          const answer = { type: PacketType.ACK, nsp: '/', id: 7, data: [{ ok: true, messages }] };
          for (const encoder of [new ExactEncoder(), new Encoder()]) {
            const [packet] = decoded(encoder.encode({ ...answer }));
            const [{ messages: read }] = (packet as { data: [{ messages: Message[] }] }).data;
            const first = page[0]!.sequence - 1;
            // The encoder of Socket.IO writes a number that JavaScript cannot hold rounded, or as null.
            if (encoder instanceof ExactEncoder)
              assert.deepEqual(
                read.map(({ payload }) => readable(payload)),
                payloads.slice(first, first + page.length),
              );
          }
          const text = stringify({ messages: messagesOf('json', items) });
          const asText = parseExactly(text) as { readonly messages: readonly Message[] };
          assert.deepEqual(
            asText.messages,
            page.map(({ entry, sequence }) => entryToMessage(entry, sequence, 'e', 'base64')),
          );
          rest = keep === 'oldest' ? rest.slice(page.length) : rest.slice(0, rest.length - page.length);
        }
      }),
      { seed, numRuns: 300 },
    );
  });

  it('read every other event and answer, whatever the names in them', () => {
    const name = fc.oneof(word, key).filter((text) => text !== '' && isName(text));
    fc.assert(
      fc.property(name, word, (user, text) => {
        const events: unknown[][] = [
          ['presence', { topic: 't', event: 'join', user_id: user, connections: 1 }],
          ['status', { status: 'connected', details: { user_id: user, topics: [] } }],
          ['system_notification', { level: 'info', message: text, timestamp: 1 }],
          ['error', { code: 'unknown_type', message: text, field: text }],
          ['token_expiring', { expires_at: 1 }],
        ];
        const answers = [
          [{ ok: false, error: { code: 'invalid_message', message: text } }],
          [{ ok: true, rejected: [{ topic: text }] }],
        ];
        const encoder = new ExactEncoder();
        const packets = [
          ...events.flatMap((data) => encoder.encode({ type: PacketType.EVENT, nsp: '/', data })),
          ...answers.flatMap((data) => encoder.encode({ type: PacketType.ACK, nsp: '/', id: 0, data })),
          ...encoder.encode({
            type: PacketType.CONNECT_ERROR,
            nsp: '/',
            data: { message: text, data: { code: text } },
          }),
          dropNotice('t', 'e', 5, 2),
        ];
        const read = decoded(packets);
        assert.equal(read.length, events.length + answers.length + 2);
        events.forEach((event, i) => assert.deepEqual(read[i]!.data, event));
      }),
      { seed, numRuns: 300 },
    );
  });
});
