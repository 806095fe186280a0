import assert from 'node:assert/strict';
import { RequestSizes } from '../../../server/commands/request-sizes.js';

const sizes = new RequestSizes(
  { carriesPayload: (command) => command === 'publish' },
  { maxMessageBytes: 65_536, maxTopicsPerConnection: 1000 },
);

describe('[L9] the size of a request', () => {
  it('is enough for the longest honest one: a hundred topics, and a position for each topic of the connection', () => {
    const names = Array.from({ length: 1000 }, (_, i) => String(i).padStart(200, 'n'));
    const position = { epoch: '0123456789', sequence: 9_999_999_999 };
    const since = Object.fromEntries(names.map((name) => [name, position]));
    const data = { topics: names.slice(0, 100), since };
    const text = JSON.stringify({ type: 'Subscribe', id: 'i'.repeat(200), data });
    assert.equal(sizes.refusalOf('subscribe', text.length), undefined, `${text.length} bytes`);
  });

  it('is enough for a payload of the longest size whose letters are escaped', () => {
    const payload = 'é'.repeat(65_534 / 2);
    assert.equal(Buffer.byteLength(JSON.stringify(payload)), 65_536);
    const text = `["publish",{"topic":"t","payload":"${'\\u00e9'.repeat(payload.length)}"}]`;
    assert.deepEqual(JSON.parse(text), ['publish', { topic: 't', payload }]);
    assert.equal(sizes.refusalOf('publish', text.length), undefined);
  });

  it('is refused above, with the limit and the size, also of a command that there is not', () => {
    const limits: [string, number][] = [
      ['subscribe', 288_768],
      ['nothing', 288_768],
      ['publish', 229_376],
    ];
    for (const [command, limit] of limits) {
      assert.equal(sizes.refusalOf(command, limit), undefined);
      const { code, limit: named, size } = sizes.refusalOf(command, limit + 1)!.toWire();
      assert.deepEqual([code, named, size], ['message_too_large', limit, limit + 1]);
    }
    assert.equal(sizes.least, 229_376);
  });
});
