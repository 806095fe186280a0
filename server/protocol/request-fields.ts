import { z } from 'zod';
import { topicNameLimit, topicNamePattern } from '../../shared/topic-name.js';
import { nameField } from './name.js';

/** The name of a topic. The schema only describes it: `readTopicName` checks it, and refuses it with a code of its own. */
export const topicField = z.string().meta({
  minLength: 1,
  maxLength: topicNameLimit,
  pattern: topicNamePattern,
});

/** The content of a message; `readPayload` checks it. */
export const payloadField = z
  .unknown()
  .describe('Any JSON value. Binary parts are objects with nothing but "$base64": base64 text.');

/** A position in a log, in requests. */
export const positionField = z.strictObject({
  epoch: z.string().min(1).max(64),
  sequence: z.int().min(0),
});

/** Topic names of one request. Each name is checked on its own, so that one invalid name does not fail the others. */
export const topicsField = z
  .array(z.string().meta({ title: 'name' }))
  .min(1)
  .max(100);

/** A key is written to Redis as UTF-8. */
export const keyField = nameField(200);

export { userIdField } from './name.js';

export const sessionIdField = nameField(100);

/** Time to wait for confirmations, in milliseconds. */
export const timeoutField = z.int().min(1).max(60_000);

/** Requests a trace of the message, see `GET /admin/messages/:id/trace`. */
export const traceField = z.boolean();

export const confirmField = z.enum(['stored', 'delivered']);
