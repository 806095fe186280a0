import { z } from 'zod';
import { nameField } from './name.js';

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

export const userIdField = nameField(200);

export const sessionIdField = nameField(100);

/** Time to wait for confirmations, in milliseconds. */
export const timeoutField = z.int().min(1).max(60_000);

/** Requests a trace of the message, see `GET /admin/messages/:id/trace`. */
export const traceField = z.boolean();

export const confirmField = z.enum(['stored', 'delivered']);
