import { z } from 'zod';

/** A place in a log, as clients write it. */
export const positionField = z.strictObject({
  epoch: z.string().min(1).max(64),
  sequence: z.int().min(0),
});

/** Positions by topic. */
export const positionsField = z.record(z.string(), positionField);

/** Topic names of one call; each name is checked by itself, so that one bad name does not fail the others. */
export const topicsField = z.array(z.string()).min(1).max(100);

export const keyField = z.string().min(1).max(200);

/** Time to wait for confirmations, in milliseconds. */
export const timeoutField = z.int().min(1).max(60_000);

/** Asks for the message to be traced, see `GET /admin/messages/:id/trace`. */
export const traceField = z.boolean();

export const confirmField = z.enum(['stored', 'delivered']);
