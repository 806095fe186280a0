import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { io } from 'socket.io-client';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';

/** What JavaScript allows to be thrown. The one that a client has sent is an object without text. */
const thrown: Readonly<Record<string, unknown>> = {
  null: null,
  undefined,
  'a symbol': Symbol('s'),
  'an object without a prototype': Object.create(null),
  'an object of a client': JSON.parse('{"toString":1,"valueOf":1}'),
  'an error without text': Object.assign(new Error('x'), { message: { toString: null } }),
};

describe('[EMBED] a program whose hooks throw what is no error', () => {
  let embedded: EmbeddedService;
  let failing: string | undefined;
  const fail = (name: string) => {
    if (failing?.startsWith(`${name} `)) throw thrown[failing.slice(name.length + 1)];
  };
  beforeEach(async () => {
    failing = undefined;
    embedded = await startEmbedded(
      { LOG_LEVEL: 'off' },
      {
        hooks: {
          onConnect: () => fail('onConnect'),
          onSubscribe: () => fail('onSubscribe'),
          onPublish: () => fail('onPublish'),
        },
      },
    );
  });
  afterEach(() => embedded.service.close());

  for (const what of Object.keys(thrown))
    it(`goes on, and its clients are answered internal: ${what}`, async () => {
      const ann = await connectClient(embedded.url, 'ann');
      failing = `onPublish ${what}`;
      const topic = randomUUID();
      assert.equal((await emit(ann, 'publish', { topic, payload: 1 })).error?.code, 'internal');
      failing = `onSubscribe ${what}`;
      const { rejected } = await emit(ann, 'subscribe', { topics: [topic] });
      assert.equal((rejected as { error: { code: string } }[])[0]?.error.code, 'internal');
      ann.disconnect();
      failing = `onConnect ${what}`;
      const bob = io(embedded.url, { auth: { token: tokenOf('bob') }, reconnection: false });
      const refusal = await new Promise<Error & { data?: { code: string; message: string } }>((resolve) =>
        bob.once('connect_error', resolve),
      );
      assert.deepEqual(refusal.data, { code: 'internal', message: 'the hook onConnect has failed' });
    });
});
