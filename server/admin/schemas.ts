import { z } from 'zod';
import type { Switched } from '../control/control-state.js';
import { topicField, userIdField } from '../protocol/request-fields.js';
import type { AdminCaller } from './admin-route.js';

/** `:topic` of a path; `readTopicName` checks it. */
export const topicParam = z.object({
  topic: topicField.describe('Encoded where it holds a slash: room%2F7.'),
});

/** `:id` of a user in a path. */
export const userParam = z.object({ id: userIdField });

/** A position in a log. */
export const positionSchema = z.object({ epoch: z.string(), sequence: z.int() });

/** `?limit=`: the largest number of items in an answer. */
export const limitField = (initial: number, max: number) =>
  z.coerce.number().int().min(1).max(max).default(initial).describe(`At most ${max}.`);

/** `?cursor=`: walks a whole list, page by page. */
export const cursorField = z
  .string()
  .max(2000)
  .regex(/^[\w-]*$/, 'must be empty, or the cursor of an earlier answer')
  .optional()
  .describe(
    'Walks the whole list in a fixed order: empty for the first page, then the cursor of the answer before.',
  );

/** The answer's part of {@link cursorField}. */
export const cursorAnswer = z
  .string()
  .nullable()
  .describe('Cursor of the next page; null after the last page, and without a cursor in the request.');

export const truncatedAnswer = z.boolean().describe('There are further items.');

/** The reason of an operator; stored with the change and in the audit log. */
export const reasonField = z.string().max(500).optional();

/** A body that has nothing but a reason; it may be left out. */
export const reasonBody = z.strictObject({ reason: reasonField });

/** Replicas that did not answer in time; their data is missing from the answer. */
export const unresponsiveField = z.array(z.string()).describe('Replicas that did not answer in time.');

/** Operator and time of a change, for {@link Switched}. */
export function switchedBy(caller: AdminCaller, now: number, reason: string | undefined): Switched {
  return { by: caller.identity.userId, at: now, ...(reason !== undefined && { reason }) };
}
