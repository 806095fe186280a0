import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import { ConnectionAttempt } from '../../../server/gateway/connection-attempt.js';
import { ConnectionPipeline } from '../../../server/gateway/connection-pipeline.js';
import { unknownPosition } from '../../../server/topics/start-position.js';
import { ClientGoneError } from '../../../server/gateway/handshake/handshake-admission.js';

/** The steps in the order in which a client passes them. */
const handshakeSteps = ['origin', 'enabled', 'admit'] as const;
const connectionSteps = [
  'authenticate',
  'share',
  'hook',
  'user slot',
  'session',
  'enabled',
  'revoked',
] as const;
/** Of a `/ws` client, whose token is in its request. */
const jsonSteps = ['origin', 'enabled', 'authenticate', 'admit'] as const;
type StepName = (typeof handshakeSteps)[number] | (typeof connectionSteps)[number];

describe('[GATEWAY] the steps by which a client connects', () => {
  let passed: StepName[];
  let refused: unknown[];
  let released: number;
  let openInboxes: number;
  /** The step that fails, and how. */
  let failing: { readonly step: StepName; readonly error: Error } | undefined;
  let transport: EventEmitter;

  const request = {} as IncomingMessage;
  const pass = (step: StepName): void => {
    if (failing?.step === step) throw failing.error;
    passed.push(step);
  };
  const pipeline = new ConnectionPipeline(
    {
      checkOrigin: () => pass('origin'),
      checkConnectionsEnabled: () => pass('enabled'),
      admit: () => {
        pass('admit');
        return undefined;
      },
      authenticate: (token) => {
        pass('authenticate');
        return { userId: token, roles: [], autoSubscribe: [] };
      },
      onAuthenticated: () => {},
      awaitShare: async (userId) => {
        assert.equal(userId, 'ann');
        await turn();
        pass('share');
      },
      onConnect: async () => {
        await turn();
        pass('hook');
      },
      acquireUserSlot: async () => {
        pass('user slot');
        await turn();
        return () => released++;
      },
      expectInInbox: () => {
        openInboxes++;
        return () => openInboxes--;
      },
      openSession: (_userId, id, positions) => {
        // Both at the same time.
        assert.equal(openInboxes, 1);
        pass('session');
        return Promise.resolve({
          id: String(id),
          lease: { generation: 1, owner: 'c@a' },
          resumed: false,
          topics: new Map(),
          positions,
          createdAt: 0,
        });
      },
      checkRevoked: () => pass('revoked'),
      onRefused: (error) => refused.push(error),
    },
    { maxPositions: 10 },
  );
  const attemptWith = (positions?: unknown) =>
    new ConnectionAttempt('json', request, '', { token: () => 'ann', sessionId: 's', positions }, transport);

  beforeEach(() => {
    passed = [];
    refused = [];
    released = 0;
    openInboxes = 0;
    failing = undefined;
    transport = new EventEmitter();
  });

  it('run in their order, first those of the handshake, at once where none has to wait', async () => {
    assert.equal(pipeline.admit(request), undefined);
    assert.deepEqual(passed, handshakeSteps);
    passed = [];
    const attempt = attemptWith();
    await pipeline.authorize(attempt);
    assert.deepEqual(passed, connectionSteps);
    assert.equal(attempt.identity?.userId, 'ann');
    assert.equal(attempt.session?.id, 's');
    assert.deepEqual([attempt.holds, released, refused], [true, 0, []]);
  });

  it('verify a token that comes with the request before the client waits for its turn, and only once', async () => {
    const attempt = attemptWith();
    assert.equal(pipeline.admitAuthenticated(attempt), undefined);
    await pipeline.authorize(attempt);
    assert.deepEqual(passed, [...jsonSteps, ...connectionSteps.slice(1)]);
  });

  it('refuse at each step: none behind it runs, the slot is released, and it is noted once', async () => {
    for (const [steps, run] of [
      [handshakeSteps, () => Promise.resolve().then(() => pipeline.admit(request))],
      [jsonSteps, () => Promise.resolve().then(() => pipeline.admitAuthenticated(attemptWith()))],
      [connectionSteps, () => pipeline.authorize(attemptWith())],
    ] as const) {
      for (const [i, step] of steps.entries()) {
        passed = [];
        refused = [];
        released = 0;
        failing = { step, error: new RefusalError('forbidden', step) };
        await assert.rejects(run(), failing.error);
        assert.deepEqual(passed, steps.slice(0, i));
        assert.deepEqual(refused, [failing.error]);
        assert.equal(released, (steps.slice(0, i) as StepName[]).includes('user slot') ? 1 : 0, step);
        assert.equal(openInboxes, 0, step);
      }
    }
  });

  it('release a slot once, whether the transport closes, the client is refused, or both', async () => {
    const attempt = attemptWith();
    await pipeline.authorize(attempt);
    transport.emit('close');
    transport.emit('close');
    attempt.release();
    assert.equal(released, 1);
    assert.equal(transport.listenerCount('close'), 0);
  });

  it('keep the inbox open until the connection does, the client is refused, or the transport closes', async () => {
    const attached = attemptWith();
    await pipeline.authorize(attached);
    assert.equal(openInboxes, 1);
    attached.releaseInbox();
    assert.deepEqual([openInboxes, attached.holds, released], [0, true, 0]);
    attached.release();
    assert.deepEqual([openInboxes, released], [0, 1]);
    await pipeline.authorize(attemptWith());
    transport.emit('close');
    assert.deepEqual([openInboxes, released], [0, 2]);
    assert.equal(transport.listenerCount('close'), 0);
  });

  it('refuse positions that are not an object, before the session is read', async () => {
    await assert.rejects(pipeline.authorize(attemptWith(['news'])), { code: 'invalid_message' });
    assert.ok(!passed.includes('session'));
    assert.equal(released, 1);
  });

  it('read what cannot be a position as an unknown one, and null as none', async () => {
    const attempt = attemptWith({
      news: { epoch: 'e', sequence: -1 },
      none: null,
      good: { epoch: 'e', sequence: 3 },
    });
    await pipeline.authorize(attempt);
    assert.deepEqual(
      [...attempt.session!.positions],
      [
        ['news', unknownPosition],
        ['good', { epoch: 'e', sequence: 3 }],
      ],
    );
  });

  it('do not note a client that went away while it waited as refused', async () => {
    failing = { step: 'admit', error: new ClientGoneError() };
    await assert.rejects(async () => pipeline.admit(request), ClientGoneError);
    assert.deepEqual(refused, []);
  });
});
