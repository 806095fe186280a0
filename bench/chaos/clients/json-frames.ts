import type { WireAnswer } from './wire.js';

/** The type of the frame that is a command on `/ws`, by the name that the command has on Socket.IO. */
export const frameOf: Readonly<Record<string, string>> = {
  subscribe: 'Subscribe',
  unsubscribe: 'Unsubscribe',
  publish: 'Broadcast',
  direct: 'Direct',
  history: 'GetHistory',
  missed: 'GetMissedMessages',
  presence: 'GetPresence',
  refresh: 'RefreshToken',
};

/** The answer of a command in the form that it has on Socket.IO. */
export function answerOf(type: string, data: Record<string, unknown>): WireAnswer {
  if (type === 'Error') return { ok: false, error: data as unknown as NonNullable<WireAnswer['error']> };
  if (type !== 'Status') return { ok: true, ...data };
  const { positions, ...details } = (data['details'] ?? {}) as Record<string, unknown>;
  return { ok: true, ...details, ...(positions !== undefined && { topics: positions }) };
}
