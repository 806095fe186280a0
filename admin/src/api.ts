import { addressPart } from './format.js';
import { signOut, token } from './session.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** A refusal of the API; `offline`: there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What can be done about an error, by its code. */
export const remedies: Readonly<Record<string, string>> = {
  forbidden: 'Sign in with a token that has this role.',
  unavailable: 'Redis is unreachable: run rtc doctor, then repeat it.',
  busy: 'The service is busy: repeat it in a moment.',
  rate_limited: 'Too many requests: wait a moment, then repeat it.',
  timeout: 'A replica was too slow: repeat it.',
  offline: 'The replica that serves this page does not answer. The page tries again by itself.',
};

const base = new URL('.', location.href);

/** The address of a route, as curl needs it. */
export const addressOf = (path: string): string => new URL(path.replace(/^\//, ''), base).href;

/** Calls a route of `/admin`. @throws ApiError */
export async function call<Answer>(
  method: Method,
  path: string,
  body?: object,
  as = token.peek(),
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(addressOf(path), {
      method,
      headers: { authorization: `Bearer ${as}`, accept: 'application/json' },
      signal: AbortSignal.timeout(15_000),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError('offline', 'There was no answer.');
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer as Answer;
  const error = (answer as { error?: { code: string; message: string } } | undefined)?.error;
  const code = error?.code ?? (response.status >= 500 ? 'offline' : 'internal');
  if (response.status === 401 && as === token.peek())
    signOut(code === 'token_expired' ? 'The token has expired.' : 'The token is not valid any more.');
  throw new ApiError(code, error?.message ?? `HTTP ${response.status}`);
}

/** A path with names in it. */
export function pathOf(strings: TemplateStringsArray, ...names: string[]): string {
  return strings.reduce((path, text, i) => path + addressPart(names[i - 1] ?? '') + text);
}

/** A path with a query; empty fields are left out. */
export function withQuery(path: string, fields: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams(
    Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined),
  ).toString();
  return query === '' ? path : `${path}?${query}`;
}

/** The command that does the same as a button. */
export function curlOf(method: Method, path: string, body?: object): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const data =
    body === undefined || Object.keys(body).length === 0 ? '' : ` \\\n  -d ${quoted(JSON.stringify(body))}`;
  return `curl -X ${method} ${quoted(addressOf(path))} \\\n  -H "Authorization: Bearer $ADMIN_TOKEN"${data}`;
}
