import { isNativeError } from 'node:util/types';
import { errorTable, RefusalError, type ErrorCode, type ErrorDetails } from '../../shared/errors.js';
import { thrownText } from '../primitives/thrown-text.js';

/**
 * What code of a program has thrown (a hook, middleware, a route), as an error that can be looked at, answered and logged. Never throws.
 *
 * A program may throw anything. A refusal whose code is misspelt, or whose details cannot be sent, would end the program where it is answered,
 * and so would a proxy that throws where it is compared with a class.
 *
 * @returns a RefusalError that can be sent, or another error: that is a failure of the program
 */
export function programError(thrown: unknown): Error {
  const refusal = refusalOf(thrown);
  if (refusal !== undefined) return refusal;
  // A proxy of an error is none.
  if (!isNativeError(thrown)) return new Error(`it threw ${thrownText(thrown)}`, { cause: thrown });
  return isRefusal(thrown)
    ? new Error(`it threw a RefusalError with a code that is not in the table: ${codeOf(thrown)}`, {
        cause: thrown,
      })
    : thrown;
}

/**
 * A copy of a refusal that can be sent; undefined if it is none, or has no code of the table. One of another copy of the class counts: that of a
 * package that a module has loaded. Never throws.
 */
export function refusalOf(thrown: unknown): RefusalError | undefined {
  if (!isNativeError(thrown) || !isRefusal(thrown)) return undefined;
  try {
    const { code, message } = thrown as { readonly code?: unknown; readonly message: unknown };
    if (typeof code !== 'string' || !Object.hasOwn(errorTable, code)) return undefined;
    return new RefusalError(
      code as ErrorCode,
      String(message),
      detailsOf(thrown as { readonly details?: unknown }),
    );
  } catch {
    return undefined;
  }
}

function isRefusal(error: Error): boolean {
  try {
    return error instanceof RefusalError || error.name === 'RefusalError';
  } catch {
    return false;
  }
}

function codeOf(error: Error): string {
  try {
    return JSON.stringify((error as { readonly code?: unknown }).code)?.slice(0, 50) ?? 'none';
  } catch {
    return 'none';
  }
}

/** Those that are of their types. */
function detailsOf(error: { readonly details?: unknown }): ErrorDetails {
  const given = error.details as Record<string, unknown> | null | undefined;
  const details: ErrorDetails = {};
  for (const name of ['retryAfterMs', 'limit', 'size'] as const) {
    const value = given?.[name];
    if (typeof value === 'number' && Number.isFinite(value)) details[name] = value;
  }
  const field = given?.['field'];
  if (typeof field === 'string') details.field = field;
  return details;
}
