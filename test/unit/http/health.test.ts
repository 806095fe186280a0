import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { healthRouter, type HealthSources } from '../../../server/http/health.js';

type Phase = ReturnType<HealthSources['phase']>;
type Control = ReturnType<HealthSources['control']>;
type RedisState = ReturnType<HealthSources['redis']>['state'];

const nothingSwitched: Control = {
  mode: 'normal',
  accepts_connections: true,
  presence: 'on',
  frozen_topics: [],
  rate_limits: { connection_rps: 0, user_rps: 50 },
  switched: {},
};

describe('[HEALTH] health', () => {
  let control = nothingSwitched;
  let server: Server;
  let phase: Phase;
  let state: RedisState;
  let writes: 'accepted' | 'refused' = 'accepted';
  let readiness: 'reachable' | 'writable' = 'reachable';
  let knowsSwitches = true;
  let shardOutage: 'unreachable' | null = null;
  const ask = async (path: string) => {
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  before(async () => {
    const router = healthRouter({
      replicaId: 'r1',
      version: '1.2.3',
      uptimeSecs: () => 7,
      connections: () => 5,
      redis: () => ({
        state,
        reconnects: 1,
        adapter_failures: 0,
        adapter_denied: false,
        memory: null,
        writes,
        outage: state === 'down' ? ('password' as const) : shardOutage,
      }),
      get readiness() {
        return readiness;
      },
      knowsSwitches: () => knowsSwitches,
      control: () => control,
      phase: () => phase,
      drain: () => ({
        step: ['draining', 'stopping'].includes(phase) ? 'moving' : 'none',
        moved: 1,
        forced: 2,
        remaining: 3,
      }),
    });
    server = express().use(router).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const refused =
    'Redis refuses the user or the password: publishes and first subscriptions are refused with unavailable';
  const stopping = 'the replica is stopping: commands and new connections are refused with shutting_down';
  const draining =
    'the replica is draining: its clients are moved to other replicas, new ones are refused with shutting_down';
  const drain = { moved: 1, forced: 2, remaining: 3 };
  const table: [Phase, RedisState, status: string, ready: number, problem?: string][] = [
    ['running', 'none', 'ok', 200],
    ['running', 'up', 'ok', 200],
    ['running', 'down', 'degraded', 503, refused],
    ['starting', 'up', 'degraded', 503, 'the replica is starting'],
    ['draining', 'none', 'degraded', 503, draining],
    ['stopping', 'none', 'degraded', 503, stopping],
  ];
  for (const [itsPhase, itsState, status, ready, problem] of table) {
    it(`is ${status} and ${ready === 200 ? 'ready' : 'not ready'} when ${itsPhase} with Redis ${itsState}`, async () => {
      [phase, state] = [itsPhase, itsState];
      const health = await ask('/health');
      assert.equal(health.status, 200, 'a degraded replica still answers with 200');
      assert.deepEqual(health.body, {
        status,
        problems: problem === undefined ? [] : [problem],
        phase: phase === 'stopping' ? 'draining' : phase,
        ...(['draining', 'stopping'].includes(phase) && { drain }),
        mode: 'normal',
        accepts_connections: true,
        presence: 'on',
        frozen_topics: 0,
        rate_limits: { connection_rps: 0, user_rps: 50 },
        replica_id: 'r1',
        version: '1.2.3',
        uptime_secs: 7,
        connections: 5,
        redis: {
          state,
          reconnects: 1,
          adapter_failures: 0,
          adapter_denied: false,
          memory: null,
          writes: 'accepted',
          outage: state === 'down' ? 'password' : null,
        },
      });
      assert.equal((await ask('/health/live')).status, 200);
      assert.equal((await ask('/health/ready')).status, ready);
    });
  }

  it('[P3] is degraded while Redis refuses writes, and by a setting not ready', async () => {
    [phase, state, writes] = ['running', 'up', 'refused'];
    assert.equal((await ask('/health')).body['status'], 'degraded');
    assert.equal((await ask('/health/ready')).status, 200);
    readiness = 'writable';
    assert.equal((await ask('/health/ready')).status, 503);
    writes = 'accepted';
    assert.equal((await ask('/health/ready')).status, 200);
    readiness = 'reachable';
  });

  it('is degraded, and ready, while a shard of a Redis Cluster is unreachable', async () => {
    [phase, state, shardOutage] = ['running', 'up', 'unreachable'];
    const { body } = await ask('/health');
    assert.equal(body['status'], 'degraded');
    assert.match(
      (body['problems'] as string[])[0]!,
      /^Redis is not reached: it is a part of the Redis Cluster/,
    );
    assert.equal((await ask('/health/ready')).status, 200);
    shardOutage = null;
  });

  it('is not ready until it is known what operators have switched off: no client is admitted before', async () => {
    [phase, state, knowsSwitches] = ['running', 'up', false];
    assert.equal((await ask('/health/ready')).status, 503);
    const { status, problems } = (await ask('/health')).body;
    assert.equal(status, 'degraded');
    assert.match(String(problems), /has not been read from Redis since the start: no client is admitted$/);
    knowsSwitches = true;
    assert.deepEqual((await ask('/health')).body['problems'], []);
    assert.equal((await ask('/health/ready')).status, 200);
  });

  const switches: [string, Partial<Control>, status: string][] = [
    ['the service is read-only', { mode: 'read_only' }, 'degraded'],
    ['new connections are switched off', { accepts_connections: false }, 'degraded'],
    ['presence is shed', { presence: 'shed' }, 'degraded'],
    ['a topic is frozen', { frozen_topics: ['a'] }, 'ok'],
  ];
  for (const [what, switched, status] of switches) {
    it(`is ${status}, and ready, when ${what}`, async () => {
      [phase, state, control] = ['running', 'up', { ...nothingSwitched, ...switched }];
      const { body } = await ask('/health');
      control = nothingSwitched;
      assert.equal(body['status'], status);
      assert.equal((await ask('/health/ready')).status, 200);
    });
  }
});
