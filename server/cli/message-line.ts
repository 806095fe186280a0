import { stringify } from '../protocol/exact-json.js';
import { printable, timeOfDay } from './text-table.js';
import type { Paint } from './terminal.js';

/** A message as the service sends it. */
export interface ShownMessage {
  readonly id: string;
  readonly topic: string;
  readonly sequence: number;
  readonly epoch: string;
  readonly payload: unknown;
  readonly sender: string | null;
  readonly timestamp: number;
}

/** A message on one line, for people. */
export function messageLine(
  { topic, sequence, payload, sender, timestamp }: ShownMessage,
  paint: Paint,
): string {
  const from = sender === null ? 'the service' : sender;
  const text = printable(stringify(payload));
  return `${paint.dim(timeOfDay(timestamp))} ${paint.bold(printable(topic))} ${paint.dim(printable(`#${sequence}`))} ${paint.green(printable(from))} ${text}`;
}
