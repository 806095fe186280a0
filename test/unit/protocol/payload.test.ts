import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import { readPayload, readProgramPayload } from '../../../server/protocol/payload.js';
import { changing } from '../../support/changing.js';
import { parseExactly } from '../../../server/protocol/exact-json.js';
import { encodeEntry, entryToMessage, viewEntry } from '../../../server/log/entry.js';
import { jsonFrames, socketIoFrames, socketIoPackets } from '../../../server/fanout/frames.js';

const limits = { maxBytes: 65_536, maxDepth: 32 };
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const codeOf = (value: unknown, wire: 'socketio' | 'json' = 'socketio'): string | undefined => {
  try {
    readPayload(value, wire, limits);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof RefusalError, String(error));
    return error.code;
  }
};
const stored = (value: unknown, wire: 'socketio' | 'json' = 'socketio') => {
  const { json, attachments } = readPayload(value, wire, limits);
  return encodeEntry({
    id: '0'.repeat(36),
    topic: 't',
    payloadJson: json,
    attachments,
    sender: 'ann',
    timestamp: 1,
  });
};

/** Splits a buffer of unmasked frames. */
function frames(bytes: Buffer): { opcode: number; payload: Buffer }[] {
  const found = [];
  for (let at = 0; at < bytes.length;) {
    const opcode = bytes[at]! & 15;
    let length = bytes[at + 1]!;
    let start = at + 2;
    if (length === 126) [length, start] = [bytes.readUInt16BE(at + 2), at + 4];
    else if (length === 127) [length, start] = [bytes.readUInt32BE(at + 6), at + 10];
    found.push({ opcode, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}

describe(`[PAY] payloads (seed ${seed})`, () => {
  it('of any JSON stay the same through the log, in every encoding', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const entry = stored(value);
        const expected = JSON.parse(JSON.stringify(value)) as unknown;
        assert.deepEqual(entryToMessage(entry, 7, 'e', 'buffer').payload, expected);
        const [frame] = frames(socketIoFrames('message', 'e', [{ sequence: 7, entry }], undefined));
        const text = frame!.payload.toString();
        assert.ok(text.startsWith('42['));
        assert.deepEqual((JSON.parse(text.slice(2)) as [string, { payload: unknown }])[1].payload, expected);
        assert.deepEqual(socketIoPackets('message', 'e', [{ sequence: 7, entry }], undefined), [
          text.slice(1),
        ]);
        const [json] = frames(jsonFrames('message', 'e', [{ sequence: 7, entry }]));
        assert.deepEqual(
          (JSON.parse(json!.payload.toString()) as { data: { payload: unknown } }).data.payload,
          expected,
        );
      }),
      { seed, numRuns: 300 },
    );
  });

  it('of any size have correct frames', () => {
    for (const size of [0, 1, 30, 124, 125, 126, 127, 1000, 65_000, 65_400]) {
      const entry = stored('x'.repeat(size));
      const found = frames(
        socketIoFrames(
          'message',
          'e',
          [
            { sequence: 1, entry },
            { sequence: 2, entry },
          ],
          undefined,
        ),
      );
      assert.equal(found.length, 2);
      for (const { payload } of found)
        assert.equal(
          (JSON.parse(payload.toString().slice(2)) as [string, { payload: string }])[1].payload.length,
          size,
        );
    }
  });

  it('keep their binary parts, which are base64 on text wires', () => {
    const value = { a: [Buffer.from([1, 2]), 'x'], b: { c: Buffer.from([3]) } };
    const entry = stored(value);
    assert.deepEqual(entryToMessage(entry, 1, 'e', 'buffer').payload, value);
    assert.deepEqual(entryToMessage(entry, 1, 'e', 'base64').payload, {
      a: [{ $base64: 'AQI=' }, 'x'],
      b: { c: { $base64: 'Aw==' } },
    });
    assert.deepEqual(entryToMessage(stored({ a: { $base64: 'AQI=' } }, 'json'), 1, 'e', 'buffer').payload, {
      a: Buffer.from([1, 2]),
    });
    const found = frames(socketIoFrames('message', 'e', [{ sequence: 1, entry }], undefined));
    assert.deepEqual(
      found.map(({ opcode }) => opcode),
      [1, 2, 2],
    );
    assert.ok(found[0]!.payload.toString().startsWith('452-["message"'));
    assert.deepEqual(
      viewEntry(entry).attachments.map((part) => [...part]),
      [[1, 2], [3]],
    );
  });

  it('are refused with more than ten binary parts, or with what looks like the place of one beside them', () => {
    const parts = (count: number) => Array.from({ length: count }, () => Buffer.alloc(0));
    const texts = (count: number) => Array.from({ length: count }, () => ({ $base64: '' }));
    for (const [ten, eleven, wire] of [
      [parts(10), parts(11), 'socketio'],
      [texts(10), texts(11), 'json'],
      [Array.from({ length: 10 }, () => new Float32Array(1)), [{ a: parts(5) }, parts(6)], 'socketio'],
    ] as const) {
      assert.equal(codeOf(ten, wire), undefined);
      assert.equal(codeOf(eleven, wire), 'invalid_payload');
    }
    const lookalikes = [
      '{"_placeholder":true,"num":0}',
      '{"a":[{"num":-1,"\\u005fplaceholder":true}]}',
      '{"_placeholder":1}',
    ];
    for (const lookalike of lookalikes) {
      const value: unknown = JSON.parse(lookalike);
      assert.equal(codeOf(value), undefined);
      assert.equal(codeOf({ value, part: Buffer.alloc(1) }), 'invalid_payload');
      assert.equal(codeOf({ value, part: { $base64: '' } }, 'json'), 'invalid_payload');
    }
  });

  it('of an embedding program are read as JSON writes them', () => {
    const { json, attachments } = readPayload(
      { at: new Date(0), part: Buffer.from('x') },
      'socketio',
      limits,
    );
    assert.equal(json, '{"at":"1970-01-01T00:00:00.000Z","part":{"_placeholder":true,"num":0}}');
    assert.equal(attachments.length, 1);
    // What such an object gives is checked too.
    const hidden = (value: unknown) => ({
      part: Buffer.alloc(1),
      toJSON: undefined,
      value: { toJSON: () => value },
    });
    assert.equal(codeOf(hidden({ _placeholder: true, num: 7 })), 'invalid_payload');
    assert.equal(codeOf(hidden(JSON.parse('{"__proto__":1}'))), 'invalid_payload');
  });

  it('of an embedding program are read as JSON writes them where a list gives its own value', () => {
    const list = Object.assign([1, 2], { toJSON: () => ({ two: true }) });
    assert.equal(readProgramPayload({ list }, 'socketio', limits).json, '{"list":{"two":true}}');
  });

  it('of an embedding program are refused, and not copied, where a short value is a text of any length', () => {
    const sparse: unknown[] = [];
    sparse[4_000_000_000] = 1;
    let twice: unknown = [1];
    for (let depth = 0; depth < 30; depth++)
      twice = depth % 2 === 0 ? [twice, twice] : { a: twice, b: twice };
    for (const value of [sparse, { sparse }, twice]) {
      const read = () => readProgramPayload(value, 'socketio', limits);
      assert.throws(read, { name: 'RefusalError', code: 'message_too_large' });
    }
  });

  it('of an embedding program that are as long as they may be are taken', () => {
    const values = [
      [],
      [[]],
      [[], {}],
      {},
      { a: [1, 2], b: {}, c: undefined },
      [0, 0],
      [[0], [[0, 0]], { a: [] }],
      Array(9).fill({}),
    ];
    for (const value of values) {
      const text = JSON.stringify(value);
      assert.equal(readProgramPayload(value, 'socketio', { maxBytes: text.length, maxDepth: 32 }).json, text);
    }
  });

  const parts = Array.from({ length: 11 }, () => Buffer.alloc(1));
  const others: Record<string, unknown> = {
    'a placeholder': { _placeholder: true, num: 7 },
    'more binary parts': parts,
    'a forbidden key': JSON.parse('{"__proto__":1}'),
    'a deep object': JSON.parse('{"a":'.repeat(100) + '1' + '}'.repeat(100)),
    'an object that gives its own value': { toJSON: () => ({ _placeholder: true, num: 7 }) },
  };
  for (const [what, other] of Object.entries(others))
    it(`of an embedding program are stored as they were checked, if a getter or a proxy gives ${what} later`, () => {
      for (const part of [Buffer.alloc(1), 1])
        for (let reads = 1; reads <= 3; reads++) {
          const value = { part, changing: changing(() => reads, { ok: 1 }, other) };
          let read;
          try {
            read = readProgramPayload(value, 'socketio', limits);
          } catch (error) {
            assert.ok(error instanceof RefusalError && error.code === 'invalid_payload', String(error));
            continue;
          }
          const { json, attachments } = read;
          assert.ok(attachments.length <= 10);
          assert.doesNotMatch(json, /"_placeholder":true,"num":7|__proto__/);
          assert.ok(json.split('"a":').length <= limits.maxDepth);
        }
    });

  it('of an embedding program keep numbers that JavaScript cannot hold beside objects that give their own value', () => {
    const stored = parseExactly('{"id":1152921506151679042}') as object;
    const { json } = readPayload({ ...stored, at: new Date(0), count: Object(1) }, 'socketio', limits);
    assert.equal(json, '{"id":1152921506151679042,"at":"1970-01-01T00:00:00.000Z","count":1}');
  });

  it('with numbers that JavaScript cannot hold keep them beside binary parts too', () => {
    const value = parseExactly('{"id":1152921506151679042,"part":{"$base64":"AQ=="},"list":[1e400,-0]}');
    const { json, attachments } = readPayload(value, 'json', limits);
    assert.equal(json, '{"id":1152921506151679042,"part":{"_placeholder":true,"num":0},"list":[1e400,-0]}');
    assert.equal(attachments.length, 1);
  });

  it('with more binary parts, as version 0.1 has stored them, are delivered as base64 text', () => {
    const payloadJson = JSON.stringify(Array.from({ length: 11 }, (_, num) => ({ _placeholder: true, num })));
    const attachments = Array.from({ length: 11 }, (_, n) => Buffer.from([n]));
    const entry = encodeEntry({
      id: '0'.repeat(36),
      topic: 't',
      payloadJson,
      attachments,
      sender: null,
      timestamp: 1,
    });
    const items = [{ sequence: 3, entry }];
    const [packet, ...rest] = socketIoPackets('message', 'e', items, undefined);
    assert.equal(rest.length, 0);
    const [, message] = JSON.parse((packet as string).slice(1)) as [string, Record<string, unknown>];
    assert.equal(message['sequence'], 3);
    assert.deepEqual((message['payload'] as unknown[])[10], { $base64: 'Cg==' });
    assert.equal(frames(socketIoFrames('message', 'e', items, undefined)).length, 1);
    assert.deepEqual(entryToMessage(entry, 3, 'e', 'buffer'), message);
  });

  it('are refused with a forbidden key, too deep, too large or ambiguous', () => {
    let deep: unknown = 1;
    for (let n = 0; n < 100_000; n++) deep = { a: deep };
    assert.equal(codeOf(deep), 'invalid_payload');
    assert.equal(codeOf(JSON.parse('[[{"__proto__":1}]]')), 'invalid_payload');
    assert.equal(codeOf('x'.repeat(65_535)), 'message_too_large');
    assert.equal(codeOf({ a: Buffer.alloc(65_536) }), 'message_too_large');
    assert.equal(codeOf({ a: Buffer.alloc(1), b: { _placeholder: true, num: 99 } }), 'invalid_payload');
    assert.equal(
      codeOf({ b: { _placeholder: true, num: 99 } }),
      undefined,
      'without binary parts it is plain JSON',
    );
    assert.equal(codeOf({ $base64: '*' }, 'json'), 'invalid_payload');
    assert.equal(codeOf(undefined), 'invalid_message');
    assert.equal(
      codeOf(() => 1),
      'invalid_payload',
    );
  });
});
