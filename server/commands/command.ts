import type { z } from 'zod';
import type { Mode } from '../control/control-state.js';
import type { Connection } from '../protocol/connection.js';
import type { FrameId, ServerFrame } from '../protocol/server-frame.js';
import type { CommandPlace, Turn } from './command-turn.js';

/** A request as a `/ws` client sends it. */
export interface RequestFrame {
  /** Undefined for a command with a payload. */
  readonly data: unknown;
  /** Given by clients that want exactly one answer, with the same id. */
  readonly id?: FrameId | undefined;
}

/** How a command looks on `/ws`. */
export interface CommandFrame<Answer extends object> {
  /** Type of the client's frame. */
  readonly type: string;
  /** The frames of the answer; they get the id of the request. */
  answer(answer: Answer, request: RequestFrame): readonly ServerFrame[];
}

/**
 * One command of the wire, with everything that is to be known of it. The router validates the request by `schema`, checks mode and limits,
 * runs the command and encodes the answer. A {@link import('../../shared/errors.js').RefusalError} thrown by `run` becomes the error answer.
 */
export interface Command<Request = unknown, Answer extends object = object> {
  /** Name of the event on Socket.IO. */
  readonly name: string;
  readonly schema: z.ZodType<Request>;
  readonly frame: CommandFrame<Answer>;
  /** The request has a payload: its size is limited by that of a message. Other requests are short. */
  readonly carriesPayload?: true;
  /** The answer can be large: a connection has one such command under way at a time. */
  readonly isExpensive?: true;
  /** Modes of the service in which it is refused. */
  readonly refusedIn: readonly Mode[];
  /** How it is ordered with the others of its connection; undefined: it neither sees nor changes what others do. */
  readonly order?: CommandPlace<Request>;
  /** @param turn ends with the answer; the command ends it earlier if the answer comes later than its effect */
  run(connection: Connection, request: Request, turn: Turn): Promise<Answer> | Answer;
}

/** The answer to a frame with an id, and to commands that have no frame of their own for it. */
export function ackFrame(answer: object): ServerFrame {
  return { type: 'Ack', data: answer };
}

/** A `Status` frame. */
export function statusFrame(status: string, details: object): ServerFrame {
  return { type: 'Status', data: { status, details } };
}
