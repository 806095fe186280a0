import type { Position } from '../shared/position.js';

/** @throws TypeError for what has no position: of the app, or an event of another program, which has the name of one of the service */
export function positioned<Given extends Position>(given: Given): Given {
  if (given.epoch && given.sequence >= 0) return given;
  throw new TypeError('no position');
}
