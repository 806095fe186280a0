import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { jsonParts } from '../../../server/http/json-parts.js';
import { jsonPieces, StoredJson } from '../../../server/protocol/exact-json.js';

const stored = (body: Buffer) => new StoredJson('{"sequence":1,', body);

describe('[API] the parts of an answer', () => {
  it('are the large messages of the log themselves, and copies of what is between them', () => {
    const bodies = ['a', 'b'].map((letter) => Buffer.from(`"payload":"${letter.repeat(60_000)}"`));
    const answer = { ok: true, messages: bodies.map(stored), epoch: 'ä' };
    const parts = jsonParts(jsonPieces(answer));
    assert.equal(parts.length, 5);
    assert.equal(parts[1], bodies[0]);
    assert.equal(parts[3], bodies[1]);
    const { messages, ...rest } = JSON.parse(Buffer.concat(parts).toString()) as { messages: object[] };
    assert.deepEqual(rest, { ok: true, epoch: 'ä' });
    assert.deepEqual(messages, [
      { sequence: 1, payload: 'a'.repeat(60_000) },
      { sequence: 1, payload: 'b'.repeat(60_000) },
    ]);
  });

  it('are one part where the messages are small, in memory of its own', () => {
    const slab = Buffer.alloc(100_000, '"payload":1');
    const parts = jsonParts(jsonPieces([stored(slab.subarray(0, 11)), stored(slab.subarray(11, 22))]));
    assert.equal(parts.length, 1);
    assert.equal(parts[0]!.toString(), '[{"sequence":1,"payload":1},{"sequence":1,"payload":1}]');
    assert.equal(parts[0]!.buffer.byteLength, parts[0]!.length);
  });

  it('keep little more than themselves in memory: a part of a larger buffer is copied', () => {
    const chunk = randomBytes(100_000);
    const [few, most] = [chunk.subarray(0, 80_000), chunk.subarray(0, 90_000)];
    assert.notEqual(jsonParts([few])[0]!.buffer, chunk.buffer);
    assert.equal(jsonParts([most])[0], most);
  });
});
