import { z } from 'zod';
import type { Command } from './command.js';

const schema = z.strictObject({ timestamp: z.number().optional() });

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
