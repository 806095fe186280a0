import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import { readPayload } from '../../../server/protocol/payload.js';
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
