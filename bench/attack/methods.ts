import type { Attack } from './attack.js';
import { answers } from './methods/answers.js';
import { handshakes } from './methods/handshakes.js';
import { heartbeats } from './methods/heartbeats.js';
import { packets } from './methods/packets.js';
import { storms } from './methods/storms.js';

/** Every method of attack, in the order in which they are run. */
export const methods: readonly Attack[] = [...heartbeats, ...packets, ...answers, ...handshakes, ...storms];
