import { isUtf8 } from 'node:buffer';
import { RefusalError, type ErrorCode, type WireError } from '../../../shared/errors.js';
import type { Command, RequestFrame } from '../../commands/command.js';
import type { RequestSizes } from '../../commands/request-sizes.js';
import type { Answer } from '../../commands/router.js';
import { ExactNumber, exactTwin } from '../../protocol/exact-json.js';
import { checkJsonCost, requestLimit } from '../../protocol/json-cost.js';
import { beginningOf } from '../../protocol/name.js';
import type { FrameId, ServerFrame } from '../../protocol/server-frame.js';

/** A frame that a client sent. */
interface ClientFrame {
  readonly type: string;
  readonly data: unknown;
  readonly id?: FrameId;
}

/** What runs the commands of one connection. */
export interface FrameTarget {
  readonly sizes: RequestSizes;
  /** The command that a frame asks for; undefined: there is none. */
  commandOfFrame(type: string): Command | undefined;
  run(command: string, request: unknown): Promise<Answer>;
  /** The error for a frame that is no command; it passes the limits like one. */
  refuse(error: RefusalError): Promise<WireError>;
  /** Called when the client acknowledges a message. False if no acknowledgement of it was awaited. */
  acknowledge(messageId: string): boolean;
  send(frame: ServerFrame): void;
}

export interface FrameSettings {
  /** Largest payload, in bytes. A frame may have this size and its envelope. */
  readonly maxMessageBytes: number;
}

/** Longest `id`, in characters: it comes back with every answer. */
const idLimit = 200;

/**
 * Handles one frame of a client: every wrong one is answered by an `Error` frame, and the connection goes on.
 *
 * @returns the code by which the frame was refused
 */
export function handleFrame(
  content: Buffer,
  isBinary: boolean,
  target: FrameTarget,
  settings: FrameSettings,
): Promise<ErrorCode | undefined> {
  // Not `async`: that would hold the frame until its command is answered.
  let id: FrameId | undefined;
  try {
    const frame = readFrame(content, isBinary, target, settings);
    id = frame.id;
    if (frame.type === 'Ack') {
      acknowledge(frame, target);
      return Promise.resolve(undefined);
    }
    const command = target.commandOfFrame(frame.type);
    if (command === undefined)
      throw new RefusalError(
        'unknown_type',
        `there is no type ${JSON.stringify(beginningOf(frame.type, 50))}`,
      );
    const data = command.carriesPayload === true ? undefined : frame.data;
    return sendAnswer(target.run(command.name, frame.data), command, { data, id }, target);
  } catch (error) {
    return sendRefusal(error, id, target);
  }
}

async function sendAnswer(
  answered: Promise<Answer>,
  command: Command,
  request: RequestFrame,
  target: FrameTarget,
): Promise<ErrorCode | undefined> {
  const { id } = request;
  try {
    const outcome = await answered;
    if (!outcome.ok) return sendError(outcome.error, id, target);
    const { ok: _, ...answer } = outcome;
    for (const reply of command.frame.answer(answer, request)) target.send(withId(reply, id));
    return undefined;
  } catch (error) {
    return sendRefusal(error, id, target);
  }
}

async function sendRefusal(
  error: unknown,
  id: FrameId | undefined,
  target: FrameTarget,
): Promise<ErrorCode | undefined> {
  if (!(error instanceof RefusalError)) throw error;
  return sendError(await target.refuse(error), id, target);
}

function sendError(error: WireError, id: FrameId | undefined, target: FrameTarget): ErrorCode {
  target.send(withId({ type: 'Error', data: error }, id));
  return error.code;
}

function readFrame(
  content: Buffer,
  isBinary: boolean,
  target: FrameTarget,
  settings: FrameSettings,
): ClientFrame {
  if (isBinary)
    throw new RefusalError('invalid_message', 'frames are text; send binary parts as { "$base64": "…" }');
  if (content.length > requestLimit(settings.maxMessageBytes) && content.length > target.sizes.short)
    throw tooLarge(content.length, settings);
  if (!isUtf8(content)) throw new RefusalError('invalid_json', 'the frame is not UTF-8 text');
  const text = content.toString();
  checkJsonCost(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RefusalError(
      'invalid_json',
      `the frame is not JSON: ${error instanceof Error ? error.message.slice(0, 120) : ''}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RefusalError('invalid_message', 'a frame is an object with type, data and, optionally, id');
  }
  const frame = value as Readonly<Record<string, unknown>>;
  const { type, data, id } = limited(text, frame, content.length, target, settings);
  if (typeof type !== 'string')
    throw new RefusalError('invalid_message', 'type must be a string', { field: 'type' });
  if (id !== undefined && id !== null && !isFrameId(id)) {
    throw new RefusalError('invalid_message', 'id must be a string or a number', { field: 'id' });
  }
  if (typeof id === 'string' && id.length > idLimit) {
    const text = `id has ${id.length} characters; it may have ${idLimit}`;
    throw new RefusalError('invalid_message', text, { field: 'id', limit: idLimit, size: id.length });
  }
  return { type, data, ...(id !== undefined && id !== null && { id }) };
}

/** The frame with all its numbers, or, if it is too large for its type, with a refusal in the place of `data`. */
function limited(
  text: string,
  frame: Readonly<Record<string, unknown>>,
  bytes: number,
  target: FrameTarget,
  settings: FrameSettings,
): Readonly<Record<string, unknown>> {
  const { type, id } = frame;
  const command = typeof type === 'string' ? target.commandOfFrame(type) : undefined;
  const refusal =
    command === undefined || command.carriesPayload === true
      ? bytes > requestLimit(settings.maxMessageBytes) && tooLarge(bytes, settings)
      : target.sizes.refusalOf(command.name, bytes);
  return refusal ? { type, data: refusal, id } : exact(text, frame);
}

function tooLarge(bytes: number, { maxMessageBytes: limit }: FrameSettings): RefusalError {
  const text = `the frame has ${bytes} bytes; a payload may have ${limit}`;
  return new RefusalError('message_too_large', text, { limit, size: bytes });
}

/**
 * The frame with all its numbers. If an object in it has a key twice, the refusal takes the place of `data`: so
 * it is answered under the frame's id.
 */
function exact(text: string, value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    return (exactTwin(text, value) as Record<string, unknown> | undefined) ?? value;
  } catch (refusal) {
    if (!(refusal instanceof RefusalError)) throw refusal;
    return { ...value, data: refusal };
  }
}

function isFrameId(id: unknown): id is FrameId {
  return typeof id === 'string' || typeof id === 'number' || id instanceof ExactNumber;
}

function acknowledge(frame: ClientFrame, target: FrameTarget): void {
  if (frame.data instanceof RefusalError) throw frame.data;
  const { message_id: messageId } = (frame.data ?? {}) as Record<string, unknown>;
  if (typeof messageId !== 'string') {
    throw new RefusalError('invalid_message', 'message_id must be the id of a message', {
      field: 'message_id',
    });
  }
  const known = target.acknowledge(messageId);
  if (frame.id !== undefined)
    target.send({ type: 'Ack', data: { message_id: messageId, acknowledged: known }, id: frame.id });
}

function withId(frame: ServerFrame, id: FrameId | undefined): ServerFrame {
  return id === undefined ? frame : { ...frame, id };
}
