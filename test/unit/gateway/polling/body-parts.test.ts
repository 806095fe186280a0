import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { BodyParts } from '../../../../server/gateway/polling/body-parts.js';
import { partBytes } from '../../../../server/gateway/polling/polling-frames.js';

describe('a body in parts', () => {
  const read = (body: PassThrough) => {
    const parts: { bytes: number; isLast: boolean }[] = [];
    const reader = new BodyParts(body as unknown as IncomingMessage, (part, isLast) =>
      parts.push({ bytes: part.length, isLast }),
    );
    return { parts, reader };
  };

  it('is one part if it is small, however many chunks it comes in', async () => {
    const body = new PassThrough();
    const { parts } = read(body);
    for (let n = 0; n < 5; n++) {
      body.write('x'.repeat(1000));
      await turn();
    }
    assert.deepEqual(parts, []);
    body.end();
    await turn();
    assert.deepEqual(parts, [{ bytes: 5000, isLast: true }]);
  });

  it('is one empty part if it is empty', async () => {
    const body = new PassThrough();
    const { parts } = read(body);
    body.end();
    await turn();
    assert.deepEqual(parts, [{ bytes: 0, isLast: true }]);
  });

  it('is not read on before a part is taken', async () => {
    const body = new PassThrough({ highWaterMark: 1024 });
    const { parts, reader } = read(body);
    body.end(Buffer.alloc(2.5 * partBytes));
    await turn();
    assert.deepEqual(parts, [{ bytes: partBytes, isLast: false }]);
    reader.taken();
    await turn();
    assert.equal(parts.length, 2);
    reader.taken();
    await turn();
    assert.deepEqual(parts[2], { bytes: partBytes / 2, isLast: true });
  });

  it('holds no more than two parts of a body that comes faster than it is taken', async () => {
    const body = new PassThrough({ highWaterMark: 1024 });
    read(body);
    let written = 0;
    for (; written < 100 && body.write(Buffer.alloc(partBytes / 4)); written++) await turn();
    assert.ok(written <= 9, `${written} quarters`);
  });

  it('ends with an empty part if it is full parts long and ends late', async () => {
    const body = new PassThrough();
    const { parts, reader } = read(body);
    body.write(Buffer.alloc(partBytes));
    await turn();
    reader.taken();
    body.end();
    await turn();
    assert.deepEqual(parts, [
      { bytes: partBytes, isLast: false },
      { bytes: 0, isLast: true },
    ]);
  });
});
