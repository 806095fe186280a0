import assert from 'node:assert/strict';
import { messagesOf } from '../../../server/commands/answer-page.js';
import type { LogEntry } from '../../../server/log/broker.js';
import { encodeEntry } from '../../../server/log/entry.js';
import { jsonPieces, stringify, StoredJson } from '../../../server/protocol/exact-json.js';

function itemOf(sequence: number, payloadJson: string, attachments: Buffer[] = []) {
  const id = `00000000-0000-7000-8000-00000000000${sequence}`;
  const entry = encodeEntry({ id, topic: 't', payloadJson, attachments, sender: 'a', timestamp: 1 });
  return { item: { entry, sequence } satisfies LogEntry, epoch: 'e' };
}

const plain = itemOf(1, '{"n":1e400}');
const binary = itemOf(2, '{"_placeholder":true,"num":0}', [Buffer.from('part')]);

describe('[PAY] messages of an answer', () => {
  it('are the text that is stored, which is not parsed, on both wires', () => {
    for (const wire of ['socketio', 'json'] as const) {
      const [message] = messagesOf(wire, [plain]);
      assert.ok(message instanceof StoredJson);
      assert.match(message.text, /^\{"sequence":1,"epoch":"e","id":"0.*"payload":\{"n":1e400\}\}$/);
    }
  });

  it('have the same text in pieces, with the bytes of the log themselves', () => {
    const answer = {
      ok: true,
      messages: messagesOf('json', [plain, plain]),
      none: undefined,
      empty: {},
      list: [],
    };
    const pieces = jsonPieces(answer);
    assert.equal(pieces.filter((piece) => piece === plain.item.entry).length, 2);
    assert.equal(Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString(), stringify(answer));
    assert.equal(jsonPieces({ a: [1] })[0], '{"a":[1]}');
  });

  it('are objects where one has binary parts, which Socket.IO looks for in all of them', () => {
    const [first, second] = messagesOf('socketio', [plain, binary]);
    assert.ok(!(first instanceof StoredJson));
    assert.ok(second !== undefined && !(second instanceof StoredJson));
    assert.deepEqual(second.payload, Buffer.from('part'));
  });

  it('have base64 text for binary parts on the JSON wires, and the others are the stored text', () => {
    const [first, second] = messagesOf('json', [plain, binary]);
    assert.ok(first instanceof StoredJson);
    assert.ok(second !== undefined && !(second instanceof StoredJson));
    assert.deepEqual(second.payload, { $base64: Buffer.from('part').toString('base64') });
  });
});
