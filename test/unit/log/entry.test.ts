import assert from 'node:assert/strict';
import {
  directEntry,
  encodeEntry,
  entryToMessage,
  messageIdOf,
  timestampOf,
} from '../../../server/log/entry.js';

const id = '01900000-0000-7000-8000-000000000000';
const timestamp = 1_700_000_000_000;
const message = { id, sender: 'a"b', timestamp, attachments: [] as Buffer[], payloadJson: '{"x":1}' };

describe('[P6] the entry of a direct message', () => {
  it('contains no name of its inbox', () => {
    const entry = encodeEntry({ ...message, topic: undefined, confirmTo: 'replica-1' });
    assert.equal(directEntry(entry), entry);
    assert.deepEqual(entryToMessage(entry, 3, 'e', 'buffer'), {
      sequence: 3,
      epoch: 'e',
      id,
      sender: 'a"b',
      timestamp,
      payload: { x: 1 },
    });
    assert.equal(messageIdOf(entry), id);
    assert.equal(timestampOf(entry), timestamp);
  });

  it('is read from an inbox written by version 0.1, with binary parts or without', () => {
    for (const attachments of [[], [Buffer.from([1, 2])]]) {
      const payloadJson = attachments.length === 0 ? '1' : '{"_placeholder":true,"num":0}';
      // As written by version 0.1: with the name of the inbox, and a mark that it must be acknowledged.
      const stored = encodeEntry({
        ...message,
        payloadJson,
        attachments,
        topic: '$user/bob',
        confirmTo: 'replica-1',
      });
      const entry = directEntry(stored);
      const read = entryToMessage(entry, 1, 'e', 'buffer') as unknown as Record<string, unknown>;
      assert.deepEqual(Object.keys(read), ['sequence', 'epoch', 'id', 'sender', 'timestamp', 'payload']);
      assert.deepEqual(read['payload'], attachments[0] ?? 1);
    }
  });
});

describe('The time of an entry', () => {
  it('is found behind any sender and topic, and behind a header', () => {
    for (const sender of [null, 'timestamp', '"timestamp":1', 'ti', '', 'é"ti'])
      for (const topic of [undefined, 'timestamp:1'])
        for (const traced of [false, true]) {
          const entry = encodeEntry({ ...message, sender, topic, traced });
          assert.equal(timestampOf(entry), timestamp, `${sender} ${topic} ${traced}`);
        }
  });
});
