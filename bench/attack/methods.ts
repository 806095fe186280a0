import { setTimeout as sleep } from 'node:timers/promises';
import type { Attack } from './attack.js';
import { answers } from './methods/answers.js';
import { jsonBombs } from './methods/bombs.js';
import { handshakes } from './methods/handshakes.js';
import { heartbeats } from './methods/heartbeats.js';
import { packets } from './methods/packets.js';
import { shapes } from './methods/shapes.js';
import { storms } from './methods/storms.js';

/** Not an attack: what the machine itself does to the figures. */
const nothing: Attack = {
  name: 'nothing',
  what: 'no attack, for comparison',
  as: ['nobody'],
  run: ({ endsAt }) => sleep(Math.max(0, endsAt - Date.now())),
};

/** Every method of attack, in the order in which they are run. */
export const methods: readonly Attack[] = [
  nothing,
  ...heartbeats,
  ...packets,
  ...answers,
  ...handshakes,
  ...jsonBombs,
  ...shapes,
  ...storms,
];
