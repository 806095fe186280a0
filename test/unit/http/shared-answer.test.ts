import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { markReady } from '../../../server/http/ready-since.js';
import { SharedAnswer } from '../../../server/http/shared-answer.js';

describe('[API] an answer that is the same for everybody', () => {
  const requestOf = (isReady = true) => {
    const request = new IncomingMessage(new Socket());
    if (isReady) markReady(request);
    return request;
  };
  /** The clock of requests has moved on. */
  const moment = () => {
    const from = performance.now();
    while (performance.now() === from);
  };

  it('is rendered once for all requests that could be handled before it was begun', async () => {
    let rendered = 0;
    const shared = new SharedAnswer(() => `answer ${++rendered}`);
    const textFor = async (request: IncomingMessage) => String(await shared.for(request));
    const waiting = [requestOf(), requestOf(), requestOf()];
    moment();
    assert.equal(await textFor(waiting[0]!), 'answer 1');
    moment();
    const later = requestOf();
    assert.equal(await textFor(waiting[1]!), 'answer 1');
    moment();
    assert.equal(await textFor(later), 'answer 2', 'a later request sees what has happened before it');
    assert.equal(await textFor(waiting[2]!), 'answer 2');
    assert.equal(await textFor(requestOf(false)), 'answer 3', 'one that does not wait for turns has its own');
  });

  it('that fails is rendered again for the next request', async () => {
    let rendered = 0;
    const shared = new SharedAnswer(() => {
      if (++rendered === 1) throw new Error('not yet');
      return 'answer';
    });
    const waiting = [requestOf(), requestOf()];
    moment();
    await assert.rejects(shared.for(waiting[0]!), /not yet/);
    assert.equal(String(await shared.for(waiting[1]!)), 'answer');
  });
});
