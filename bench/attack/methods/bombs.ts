import { flood, type Attack } from '../attack.js';
import { attackFrame } from '../raw-client.js';
import { requestFlood } from '../requests.js';

/** JSON of almost a megabyte that is costly to read. */
const bombs = [
  '['.repeat(490_000) + ']'.repeat(490_000),
  '{"a":'.repeat(160_000) + '1' + '}'.repeat(160_000),
  `{${Array.from({ length: 80_000 }, (_, i) => `"k${i}":0`).join(',')}}`,
  `{"topic":"a","payload":${'9'.repeat(900_000)}}`,
  `[${Array.from({ length: 320_000 }, () => '{}').join(',')}]`,
];
/** The same in the size that the JSON wires allow. */
const smallBombs = [
  '['.repeat(34_000) + ']'.repeat(34_000),
  `[${Array.from({ length: 22_000 }, () => '{}').join(',')}]`,
  `[${Array.from({ length: 17_000 }, () => '1.0').join(',')}]`,
];

/** JSON that is costly to read. */
export const jsonBombs: readonly Attack[] = [
  {
    name: 'json-bombs',
    what: 'bodies of 1 MB, deep or wide, to /api',
    as: ['nobody', 'user'],
    run: (context) =>
      requestFlood(context, 4, (round) => ({
        method: 'POST',
        path: '/api/publish',
        body: bombs[round % bombs.length]!,
        headers: context.attacker === 'user' ? { authorization: `Bearer ${context.token}` } : {},
      })),
  },
  {
    name: 'json-bombs-small',
    what: 'bodies of 68 KB, deep or wide, to /api, fifty at a time',
    as: ['user'],
    run: (context) =>
      requestFlood(context, 50, (round) => ({
        method: 'POST',
        path: '/api/publish',
        body: smallBombs[round % smallBombs.length]!,
        headers: { authorization: `Bearer ${context.token}` },
      })),
  },
  {
    name: 'json-bombs-socketio',
    what: 'publishes of 1 MB, deep or wide',
    as: ['user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: true,
        reads: true,
        chunk: (round) => attackFrame(`421["publish",${bombs[round % bombs.length]}]`),
      }),
  },
  {
    name: 'json-bombs-ws',
    what: 'frames of 68 KB on /ws, deep or wide',
    as: ['user'],
    run: (context) =>
      flood(context, {
        wire: 'json',
        reads: true,
        chunk: (round) =>
          attackFrame(`{"type":"Broadcast","id":1,"data":${smallBombs[round % smallBombs.length]}}`),
      }),
  },
];
