import { leaseOf, retiredGeneration, type SessionLease } from './session-lease.js';
import { readSession } from './session-schema.js';
import type { StoredSession } from './session-store.js';

/**
 * The form of a stored session: JSON that begins with a header, so that the scripts can compare and replace
 * the lease without reading the rest.
 *
 * | version | written by | form |
 * |---|---|---|
 * | none | 0.1, or by hand | JSON without a header |
 * | 2 | this one | the header `{"version":2,"generation":<number>,"owner":<name or null>,`, then the rest |
 */
const version = 2;

/** The header of a session with this lease. */
export function headerOf({ generation, owner }: SessionLease): string {
  return `${JSON.stringify({ version, generation, owner }).slice(0, -1)},`;
}

/** A session without its header. */
export function bodyOf({ generation: _generation, owner: _owner, ...rest }: StoredSession): string {
  return JSON.stringify(rest).slice(1);
}

/** A session as it is stored. */
export function textOf(session: StoredSession): string {
  return headerOf(leaseOf(session)) + bodyOf(session);
}

/** All that a session without a state has behind its header. */
const noState = '"retired":true}';

/** What is stored of a session that cannot be resumed, but may be written again by this lease. */
export function withoutState(lease: SessionLease): string {
  return headerOf(lease) + noState;
}

/** What is stored for a session id that has been retired. */
export const retiredText = withoutState({ generation: retiredGeneration, owner: null });

export function hasNoState(text: string | null): boolean {
  return text?.endsWith(`,${noState}`) === true;
}

/** Reads a stored session. Undefined if it is retired, is not one, or has a newer form. */
export function parseSession(id: string, text: string): StoredSession | undefined {
  try {
    const value = JSON.parse(text) as { version?: unknown };
    if (typeof value.version === 'number' && value.version > version) return undefined;
    const read = readSession(value);
    return 'session' in read && read.session.id === id ? read.session : undefined;
  } catch {
    return undefined;
  }
}
