import { isUtf8 } from 'node:buffer';
import { RefusalError, type WireError } from '../../../shared/errors.js';
import type { Message } from '../../../shared/message.js';
import type { Answer } from '../../commands/router.js';
import type { ServerFrame } from './translate.js';

/** A frame that a client sent. */
interface ClientFrame {
  readonly type: string;
  readonly data: unknown;
  readonly id?: string | number;
}

/** Runs the commands of one connection. */
interface FrameTarget {
  run(command: string, request: unknown): Promise<Answer>;
  /** Called when the client acknowledges a message. False if no acknowledgement of it was awaited. */
  acknowledge(messageId: string): boolean;
  send(frame: ServerFrame): void;
}

export interface FrameSettings {
  /** Largest payload, in bytes. A frame may have this size and its envelope. */
  readonly maxMessageBytes: number;
}

/** Bytes for type, topic, key and other fields around a payload. */
const envelopeBytes = 4096;

const commands: Readonly<Record<string, string>> = {
  Ping: 'ping',
  Subscribe: 'subscribe',
  Unsubscribe: 'unsubscribe',
  Broadcast: 'publish',
  Direct: 'direct',
  GetMissedMessages: 'missed',
  GetHistory: 'history',
  GetPresence: 'presence',
  RefreshToken: 'refresh',
};

/**
 * Handles one frame of a client. An invalid frame is answered by an `Error` frame, and the connection stays
 * open.
 */
export async function handleFrame(
  content: Buffer,
  isBinary: boolean,
  target: FrameTarget,
  settings: FrameSettings,
): Promise<void> {
  let id: string | number | undefined;
  try {
    const frame = readFrame(content, isBinary, settings);
    id = frame.id;
    if (frame.type === 'Ack') {
      acknowledge(frame, target);
      return;
    }
    const command = Object.hasOwn(commands, frame.type) ? commands[frame.type] : undefined;
    if (command === undefined)
      throw new RefusalError('unknown_type', `unknown type ${JSON.stringify(frame.type.slice(0, 50))}`);
    const answer = await target.run(command, frame.data);
    for (const reply of answer.ok ? answers(frame, answer) : [errorFrame(answer.error)])
      target.send(withId(reply, id));
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    target.send(withId(errorFrame(error.toWire()), id));
  }
}

function readFrame(content: Buffer, isBinary: boolean, settings: FrameSettings): ClientFrame {
  if (isBinary)
    throw new RefusalError('invalid_message', 'frames are text; send binary parts as { "$base64": "…" }');
  const limit = settings.maxMessageBytes + envelopeBytes;
  if (content.length > limit) {
    throw new RefusalError(
      'message_too_large',
      `the frame has ${content.length} bytes; a payload may have ${settings.maxMessageBytes}`,
      {
        limit: settings.maxMessageBytes,
        size: content.length,
      },
    );
  }
  if (!isUtf8(content)) throw new RefusalError('invalid_json', 'the frame is not UTF-8 text');
  let value: unknown;
  try {
    value = JSON.parse(content.toString());
  } catch (error) {
    throw new RefusalError(
      'invalid_json',
      `the frame is not JSON: ${error instanceof Error ? error.message.slice(0, 120) : ''}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RefusalError('invalid_message', 'a frame is an object with type, data and, optionally, id');
  }
  const { type, data, id } = value as Record<string, unknown>;
  if (typeof type !== 'string')
    throw new RefusalError('invalid_message', 'type must be a string', { field: 'type' });
  if (id !== undefined && typeof id !== 'string' && typeof id !== 'number') {
    throw new RefusalError('invalid_message', 'id must be a string or a number', { field: 'id' });
  }
  return { type, data, ...(id !== undefined && { id }) };
}

function acknowledge(frame: ClientFrame, target: FrameTarget): void {
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

function errorFrame(error: WireError): ServerFrame {
  return { type: 'Error', data: error };
}

/** The frames that answer a successful command. */
function answers(frame: ClientFrame, { ok: _, ...answer }: Answer & { ok: true }): ServerFrame[] {
  const result = answer as Record<string, unknown>;
  switch (frame.type) {
    case 'Subscribe': {
      const positions = result['topics'] as { topic: string }[];
      const details = {
        topics: positions.map(({ topic }) => topic),
        positions,
        rejected: result['rejected'],
      };
      return [{ type: 'Status', data: { status: 'subscribed', details } }];
    }
    case 'Unsubscribe':
      return [{ type: 'Status', data: { status: 'unsubscribed', details: result } }];
    case 'RefreshToken':
      return [{ type: 'Status', data: { status: 'token_refreshed', details: result } }];
    case 'Ping':
      return [{ type: 'Pong', data: result }];
    case 'GetPresence':
      return [{ type: 'Presence', data: { ...result, topic: (frame.data as { topic: string }).topic } }];
    case 'GetMissedMessages':
      if (frame.id !== undefined) return [{ type: 'Ack', data: result }];
      return missedFrames(result as { messages: Message[]; complete: boolean });
    case 'GetHistory':
      return [{ type: 'Ack', data: result }];
    default:
      // A publish without an id requests no answer. Subscribers, and the publisher if subscribed, receive the
      // message itself.
      return frame.id === undefined ? [] : [{ type: 'Ack', data: result }];
  }
}

function missedFrames({ messages, complete }: { messages: Message[]; complete: boolean }): ServerFrame[] {
  const frames = messages.map((message): ServerFrame => ({ type: 'Broadcast', data: message }));
  return [
    ...frames,
    { type: 'Status', data: { status: 'missed', details: { count: messages.length, complete } } },
  ];
}

function withId(frame: ServerFrame, id: string | number | undefined): ServerFrame {
  return id === undefined ? frame : { ...frame, id };
}
