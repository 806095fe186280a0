import type { z } from 'zod';
import type { Connection } from '../protocol/connection.js';

type CommandName =
  'subscribe' | 'unsubscribe' | 'publish' | 'direct' | 'history' | 'missed' | 'presence' | 'refresh' | 'ping';

/**
 * One command of the wire. The router decodes the request by `schema`, asks the limits, runs it and encodes the answer; a
 * {@link import('../../shared/errors.js').RefusalError} thrown by `run` becomes the error answer.
 */
export interface Command<Request = unknown, Answer extends object = object> {
  readonly name: CommandName;
  readonly schema: z.ZodType<Request>;
  run(connection: Connection, request: Request): Promise<Answer> | Answer;
}
