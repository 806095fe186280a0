import { exitCodes } from '../exit-codes.js';
import { CliError, redirectError, strangeAnswerError, unreachableError, usageError } from '../cli-error.js';
import { connectionProblemOf } from './connection-problem.js';
import type { Target } from './target.js';

/** A request to a service. */
export interface ServiceRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Values that are undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** No answer to a command is larger. */
const answerLimitBytes = 64 * 1024 * 1024;

/** The HTTP side of a service: `/api`, `/admin`, `/health` and `/metrics`. */
export class ServiceClient {
  constructor(
    readonly target: Target,
    private readonly settings: { readonly timeoutMs: number },
  ) {}

  /** The body of a successful answer. @throws CliError: refused, or unreachable */
  async ask<Answer>(path: string, request: ServiceRequest = {}): Promise<Answer> {
    const response = await this.send(path, request);
    const body = await this.read(response);
    if (response.ok) return body as Answer;
    throw refusalOf(response.status, body, this.target);
  }

  /** Resolves if something answers. @throws CliError: unreachable */
  async reach(): Promise<void> {
    const { body } = await this.send('/health/live', {});
    await body?.cancel();
  }

  private async send(
    path: string,
    { method = 'GET', query = {}, body, headers }: ServiceRequest,
  ): Promise<Response> {
    const { url, token } = this.target;
    if (token === undefined && !path.startsWith('/health') && !path.startsWith('/metrics'))
      throw usageError(
        'there is no token',
        'give --token, set TOKEN, or set JWT_SECRET to the secret of the service',
      );
    const address = new URL(url + path);
    let response: Response;
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) address.searchParams.set(name, String(value));
    try {
      response = await fetch(address, {
        method,
        // To follow it would lose the token, which is for this address only.
        redirect: 'manual',
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(this.settings.timeoutMs),
      });
    } catch (error) {
      throw unreachableError(`${url} cannot be reached`, connectionProblemOf(error, this.settings.timeoutMs));
    }
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    throw redirectError(address, location);
  }

  private async read(response: Response): Promise<unknown> {
    let text: string;
    try {
      text = await textOf(response, answerLimitBytes);
    } catch (error) {
      if (error instanceof RangeError) throw strangeAnswerError(this.target.url, error.message);
      throw unreachableError(
        `${this.target.url} did not end its answer`,
        connectionProblemOf(error, this.settings.timeoutMs),
      );
    }
    try {
      return JSON.parse(text);
    } catch {
      throw new CliError(
        `${this.target.url} answers ${response.status} with something that is no JSON: this is not the service, or a proxy answers`,
        exitCodes.failed,
        'not_json',
        'look at the address (--url), and what the proxy before it does',
      );
    }
  }
}

/** @throws RangeError if there is more than the limit */
async function textOf(response: Response, limitBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > limitBytes) throw new RangeError(`more than ${limitBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function refusalOf(status: number, body: unknown, { tokenSource }: Target): CliError {
  const { code, message } = errorOf(body, status);
  const remedies: Record<string, string> = {
    unauthorized: `the token is from ${tokenSource}; rtc token inspect says what is wrong with it`,
    token_expired: `the token is from ${tokenSource}; get a new one`,
    forbidden: 'a token with a role that may do this; rtc token inspect shows the roles of this one',
  };
  return new CliError(`refused: ${code}: ${message}`, exitCodes.failed, code, remedies[code]);
}

/** The error of an answer, if it has the form of one. */
export function errorOf(body: unknown, status: number): { readonly code: string; readonly message: string } {
  const { code, message } = ((body as { error?: unknown } | null | undefined)?.error ?? {}) as {
    readonly code?: unknown;
    readonly message?: unknown;
  };
  return {
    code: typeof code === 'string' ? code : `http_${status}`,
    message: typeof message === 'string' ? message : 'no reason is given',
  };
}
