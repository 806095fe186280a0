import { flood, repeated, type Attack, type AttackContext, type Flood } from '../attack.js';
import { attackFrame } from '../raw-client.js';

/** Valid commands at full speed, and what is sent while Redis does not answer. */
export const storms: readonly Attack[] = [
  {
    name: 'subscribe-storm',
    what: 'subscribe and unsubscribe to ever new topics',
    as: ['user'],
    run: (context) =>
      joinedFlood(context, {
        chunk: (round) =>
          Buffer.concat(
            Array.from({ length: 200 }, (_, n) => {
              const request = JSON.stringify({ topics: [`s.${round % 1000}.${n}`] });
              return Buffer.concat([
                attackFrame(`420["subscribe",${request}]`),
                attackFrame(`421["unsubscribe",${request}]`),
              ]);
            }),
          ),
      }),
  },
  {
    name: 'refresh-storm',
    what: 'refresh with two valid tokens in turn',
    as: ['user'],
    run: (context) =>
      joinedFlood(context, {
        chunk: repeated(
          200,
          ...[context.token, context.otherToken].map((token) =>
            attackFrame(`420["refresh",${JSON.stringify({ token })}]`),
          ),
        ),
      }),
  },
  {
    name: 'direct-storm',
    what: 'direct messages to one user, who is not there',
    as: ['user'],
    run: (context) => both(context, 'direct', { to: 'bob', payload: 'x', confirm: 'stored' }),
  },
  {
    name: 'publish-storm',
    what: 'publishes to one topic',
    as: ['user'],
    run: (context) => both(context, 'publish', { topic: 'a', payload: 'x' }),
  },
  {
    name: 'stalled-publishes',
    what: 'publishes of 60 KB to ever new topics while Redis does not answer',
    as: ['user'],
    stallsRedis: true,
    run: (context) =>
      joinedFlood(context, {
        chunk: (round) => attackFrame(`421["publish",${publishOf(round)}]`),
      }),
  },
  {
    name: 'stalled-frames',
    what: 'frames of 60 KB on /ws while Redis does not answer',
    as: ['user'],
    stallsRedis: true,
    run: (context) =>
      flood(context, {
        wire: 'json',
        reads: true,
        chunk: (round) => attackFrame(`{"type":"Broadcast","id":1,"data":${publishOf(round)}}`),
      }),
  },
  {
    name: 'stalled-commands',
    what: 'history, presence and direct commands while Redis does not answer',
    as: ['user'],
    stallsRedis: true,
    run: (context) =>
      joinedFlood(context, {
        chunk: repeated(
          50,
          attackFrame('421["history",{"topic":"a"}]'),
          attackFrame('422["presence",{"topic":"a"}]'),
          attackFrame('423["direct",{"to":"bob","payload":1}]'),
          attackFrame('424["subscribe",{"topics":["a"]}]'),
        ),
      }),
  },
  {
    name: 'stalled-connects',
    what: 'clients that connect and join while Redis does not answer',
    as: ['user'],
    stallsRedis: true,
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        connections: 50,
        chunk: repeated(20, attackFrame(`40${JSON.stringify({ token: context.token })}`), attackFrame('41')),
      }),
  },
];

/** A flood of clients that have joined with Socket.IO and read their answers. */
function joinedFlood(context: AttackContext, flooding: Pick<Flood, 'chunk' | 'connections'>): Promise<void> {
  return flood(context, { wire: 'socketio', joins: true, reads: true, ...flooding });
}

function publishOf(round: number): string {
  return JSON.stringify({ topic: `n.${round}`, payload: 'q'.repeat(60_000) });
}

async function both(context: AttackContext, command: string, request: object): Promise<void> {
  const type = command === 'publish' ? 'Broadcast' : 'Direct';
  await Promise.all([
    joinedFlood(context, {
      connections: 2,
      chunk: repeated(500, attackFrame(`421${JSON.stringify([command, request])}`)),
    }),
    flood(context, {
      wire: 'json',
      connections: 2,
      reads: true,
      chunk: repeated(500, attackFrame(JSON.stringify({ type, data: request, id: 1 }))),
    }),
  ]);
}
