import assert from 'node:assert/strict';
import { Server } from 'socket.io';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { Confirmations } from '../../../server/fanout/confirmations.js';
import { wrapSocketIoAckIds } from '../../../server/gateway/engine-internals/acknowledgements.js';
import { ackIdEnd, firstSharedAckId, SharedAckIds } from '../../../server/protocol/ack-ids.js';

describe('[WIRE] acknowledgement ids', () => {
  const notAwaited = () => false;

  it('of shared packets stay below 2^31 and above those that Socket.IO counts, and wrap', () => {
    assert.equal(ackIdEnd, 2 ** 31);
    const ids = new SharedAckIds();
    assert.deepEqual([ids.take(notAwaited), ids.take(notAwaited)], [firstSharedAckId, firstSharedAckId + 1]);
    const last = new SharedAckIds(ackIdEnd - 1);
    assert.deepEqual([last.take(notAwaited), last.take(notAwaited)], [ackIdEnd - 1, firstSharedAckId]);
  });

  it('of shared packets are not used again while they are awaited', () => {
    const awaited = new Set([ackIdEnd - 1, firstSharedAckId, firstSharedAckId + 2]);
    const ids = new SharedAckIds(ackIdEnd - 2);
    const given = [1, 2, 3].map(() => ids.take((id) => awaited.has(id)));
    assert.deepEqual(given, [ackIdEnd - 2, firstSharedAckId + 1, firstSharedAckId + 3]);
  });

  it('of Socket.IO restart at 0 before they reach the shared ones', () => {
    const namespace = new Server().of('/');
    wrapSocketIoAckIds(namespace);
    const counter = namespace as unknown as { _ids: number };
    assert.equal(counter._ids++, 0);
    counter._ids = firstSharedAckId - 1;
    assert.deepEqual([counter._ids++, counter._ids++, counter._ids], [firstSharedAckId - 1, 0, 1]);
  });

  it('of confirmed messages are free again when all connections have answered or closed', () => {
    const ids = new SharedAckIds(ackIdEnd - 1);
    const confirmations = new Confirmations(new MemoryBus('a'), ids);
    const ackId = confirmations.nextAckId();
    confirmations.sentTo('m', 'a', ['one', 'two'], ackId);
    const again = () => {
      Object.assign(ids, { next: ackId });
      return confirmations.nextAckId();
    };
    assert.equal(again(), firstSharedAckId);
    confirmations.acknowledged('m', 'one');
    assert.equal(again(), firstSharedAckId);
    confirmations.onLeft('two');
    assert.equal(again(), ackId);
  });
});
