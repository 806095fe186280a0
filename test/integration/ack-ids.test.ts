import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { firstSharedAckId, ackIdEnd } from '../../server/protocol/ack-ids.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';

describe('[P6] acknowledgement ids of confirmed messages', function () {
  let embedded: EmbeddedService;
  let ann: Socket;
  let bob: Socket;
  /** Packet ids that bob was asked to acknowledge. */
  const ids: number[] = [];

  before(async () => {
    embedded = await startEmbedded();
    ann = await connectClient(embedded.url, 'ann');
    bob = await connectClient(embedded.url, 'bob');
    bob.io.on('packet', (packet: { type: number; id?: number }) => {
      if (packet.type === 2 && packet.id !== undefined) ids.push(packet.id);
    });
  });
  beforeEach(() => {
    ids.length = 0;
  });
  after(async () => {
    ann.disconnect();
    bob.disconnect();
    await embedded.service.close();
  });

  it('are below 2^31 for direct messages, and separate from those that an embedding program awaits', async () => {
    const counter = embedded.service.io.of('/') as unknown as { _ids: number };
    const socket = [...embedded.service.io.of('/').sockets.values()].find(({ id }) => id === bob.id)!;
    const direct = () => emit(ann, 'direct', { to: 'bob', payload: 1, confirm: 'delivered' });
    // An embedding program awaits the answers to its own events.
    counter._ids = 0;
    const own: number[] = [];
    socket.timeout(30_000).emit('question', (_error: unknown, answer: number) => own.push(answer));
    bob.on('direct', (_message: unknown, acknowledge: () => void) => acknowledge());
    const question = new Promise<(answer: number) => void>((resolve) =>
      bob.once('question', (acknowledge: (answer: number) => void) => resolve(acknowledge)),
    );
    for (let n = 0; n < 3; n++) assert.equal((await direct())['delivered'], 1);
    assert.equal(ids.length, 4);
    // The packet of the program, then the direct messages.
    assert.equal(ids.shift(), 0);
    for (const id of ids) assert.ok(id >= firstSharedAckId && id < ackIdEnd, String(id));
    assert.deepEqual(own, []);
    (await question)(7);
    // After the answer.
    await emit(bob, 'ping', { timestamp: 1 });
    assert.deepEqual(own, [7]);
  });

  it('are below 2^31 for confirmed publishes, and separate from those of Socket.IO', async () => {
    await emit(bob, 'subscribe', { topics: ['news'] });
    bob.on('message', (_message: unknown, acknowledge: () => void) => acknowledge());
    for (let n = 0; n < 3; n++) {
      const answer = await emit(ann, 'publish', { topic: 'news', payload: n, confirm: 'delivered' });
      assert.equal(answer['delivered'], 1);
    }
    assert.equal(ids.length, 3);
    for (const id of ids) assert.ok(id >= firstSharedAckId && id < ackIdEnd, String(id));
    assert.equal(new Set(ids).size, 3);
  });
});
