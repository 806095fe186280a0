import assert from 'node:assert/strict';
import { Permissions } from '../../../server/auth/permissions.js';
import { freeTurn } from '../../../server/commands/command-turn.js';
import { publishCommand } from '../../../server/commands/publish.js';
import { Confirmations } from '../../../server/fanout/confirmations.js';
import type { AppendReceipt } from '../../../server/log/broker.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { readPayload } from '../../../server/protocol/payload.js';
import type { Topics } from '../../../server/topics/topics.js';

describe('publish', () => {
  const identity = { userId: 'ann', roles: [], autoSubscribe: [] };
  const ann = { id: 'c', wire: 'json', identity } as unknown as Connection;

  it('keeps nothing of a repetition that asks for a confirmation', async () => {
    const receipt: AppendReceipt = {
      id: 'first',
      epoch: 'e',
      sequence: 1,
      duplicate: true,
      durability: 'memory',
      receivers: 0,
    };
    const confirmations = new Confirmations(new MemoryBus('one'));
    const { run } = publishCommand(
      {
        topics: { publish: () => Promise.resolve(receipt) } as Partial<Topics> as Topics,
        permissions: new Permissions([{ role: '*', topics: ['*'], allow: ['publish'] }]),
        confirmations,
        newId: () => 'again',
        tracer: { begin: () => undefined },
        checkTopic: () => {},
        stillAdmitted: () => {},
        readPayload,
        admitBytes: () => {},
        onQueued: () => {},
        onPublished: () => {},
      },
      { maxBytes: 1000, maxDepth: 10, confirmTimeoutMs: 1000 },
    );
    const request = { topic: 'a', payload: 1, key: 'k', confirm: 'delivered' as const };
    const answer = await run(ann, request, freeTurn);
    assert.deepEqual([answer.id, answer.duplicate, answer.delivered], ['first', true, 0]);
    const { awaited } = confirmations as unknown as { readonly awaited: ReadonlyMap<string, unknown> };
    assert.equal(awaited.size, 0);
  });
});
