import { signal } from '@preact/signals';

export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** The answer of `GET /admin/me`. */
export interface Me {
  readonly user_id: string;
  readonly role: Role;
  readonly expires_at: number | null;
  readonly version: string;
}

const key = 'rtc-console-token';

/** The token, in this tab alone: it is never in an address, nor in a cookie. */
export const token = signal(sessionStorage.getItem(key) ?? '');
export const me = signal<Me | undefined>(undefined);
/** Why the operator has to sign in again. */
export const signedOutBy = signal('');

export function signIn(given: string, who: Me): void {
  sessionStorage.setItem(key, given);
  token.value = given;
  me.value = who;
  signedOutBy.value = '';
}

export function signOut(reason = ''): void {
  sessionStorage.removeItem(key);
  token.value = '';
  me.value = undefined;
  signedOutBy.value = reason;
}

/** Whether the role of the operator is enough. */
export function may(needed: Role): boolean {
  return me.value !== undefined && roles.indexOf(me.value.role) >= roles.indexOf(needed);
}
