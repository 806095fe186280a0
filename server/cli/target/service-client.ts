import { readJson } from '../exact-answer.js';
import { exitCodes } from '../exit-codes.js';
import {
  CliError,
  notJsonError,
  redirectError,
  strangeAnswerError,
  unreachableError,
  usageError,
} from '../cli-error.js';
import { connectionProblemOf } from './connection-problem.js';
import { exchange, type HttpResponse } from './http-exchange.js';
import type { Target } from './target.js';

/** A request to a service. */
export interface ServiceRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Values that are undefined are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** A text is JSON already. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** No answer to a command is larger. */
const answerLimitBytes = 64 * 1024 * 1024;

/** The HTTP side of a service: `/api`, `/admin`, `/health` and `/metrics`. */
export class ServiceClient {
  constructor(
    readonly target: Target,
    private readonly settings: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ) {}

  /** The body of a successful answer. @throws CliError: refused, or unreachable */
  async ask<Answer>(path: string, request: ServiceRequest = {}): Promise<Answer> {
    const { status, text } = await this.send(path, request);
    const body = this.read(status, text);
    if (status >= 200 && status < 300) return body as Answer;
    throw refusalOf(status, body, this.target);
  }

  /** Resolves if something answers. @throws CliError: unreachable */
  async reach(): Promise<void> {
    await this.send('/health/live', {});
  }

  private async send(
    path: string,
    { method = 'GET', query = {}, body, headers }: ServiceRequest,
  ): Promise<HttpResponse> {
    const { url, token } = this.target;
    if (token === undefined && !path.startsWith('/health') && !path.startsWith('/metrics'))
      throw usageError(
        'there is no token',
        'give --token, set TOKEN, or set JWT_SECRET to the secret of the service',
      );
    const address = new URL(url + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) address.searchParams.set(name, String(value));
    let response: HttpResponse;
    try {
      response = await exchange(address, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        timeoutMs: this.settings.timeoutMs,
        limitBytes: answerLimitBytes,
        signal: this.settings.signal,
      });
    } catch (error) {
      if (error instanceof RangeError) throw strangeAnswerError(url, error.message);
      throw unreachableError(`${url} cannot be reached`, connectionProblemOf(error, this.settings.timeoutMs));
    }
    const { status, location } = response;
    // To follow it would give the token to another address.
    if (status >= 300 && status < 400 && location !== undefined) throw redirectError(address, location);
    return response;
  }

  private read(status: number, text: string): unknown {
    try {
      return readJson(text);
    } catch {
      throw notJsonError(this.target.url, status);
    }
  }
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
