import assert from 'node:assert/strict';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded } from '../support/embedded-service.js';

describe('[P5.11] a clock that is set back', () => {
  const realNow = Date.now;
  let shiftMs: number;
  beforeEach(() => {
    shiftMs = 0;
    Date.now = () => realNow() + shiftMs;
  });
  afterEach(() => (Date.now = realNow));

  it('leaves nothing out of what `missed` answers', async () => {
    const { service, url } = await startEmbedded();
    try {
      const ann = await connectClient(url, 'ann');
      await emit(ann, 'subscribe', { topics: ['one', 'other'] });
      const publish = async (topic: string) => (await emit(ann, 'publish', { topic, payload: 1 })).id!;
      await publish('other');
      const last = await publish('one');
      shiftMs = -60_000;
      const later = [await publish('one'), await publish('other'), await publish('one')];
      const { messages, complete } = await emit(ann, 'missed', { since: last });
      const ids = (messages as { id: string }[]).map(({ id }) => id);
      assert.deepEqual(ids, later);
      assert.equal(complete, true);
      ann.close();
    } finally {
      await service.close();
    }
  });
});
