import type { z } from 'zod';
import type { Connection } from '../protocol/connection.js';

type CommandName =
  'subscribe' | 'unsubscribe' | 'publish' | 'direct' | 'history' | 'missed' | 'presence' | 'refresh' | 'ping';

/**
 * One command of the wire. The router validates the request by `schema`, checks the limits, runs the command and encodes the answer. A
 * {@link import('../../shared/errors.js').RefusalError} thrown by `run` becomes the error answer.
 */
export interface Command<Request = unknown, Answer extends object = object> {
  readonly name: CommandName;
  readonly schema: z.ZodType<Request>;
  run(connection: Connection, request: Request): Promise<Answer> | Answer;
}
