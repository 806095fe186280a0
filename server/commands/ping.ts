import { z } from 'zod';
import { ExactNumber } from '../protocol/exact-json.js';
import type { Command } from './command.js';

const isNumber = (value: unknown) => Number.isFinite(value) || value instanceof ExactNumber;
const timestampField = z.custom<number | ExactNumber>(isNumber, 'must be a number');
const schema = z.strictObject({ timestamp: timestampField.optional() });

/** `ping`: answers with the client's timestamp and the server's clock, both in milliseconds. */
export function pingCommand(now: () => number): Command<z.output<typeof schema>> {
  return {
    name: 'ping',
    schema,
    frame: { type: 'Ping', answer: (answer) => [{ type: 'Pong', data: answer }] },
    refusedIn: [],
    run: (_connection, request) => ({ timestamp: request.timestamp ?? null, server_time: now() }),
  };
}
