import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** A request, on a connection of its own: a balancer chooses anew, and nothing stays open. */
export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For everything, from the first packet to the last byte. */
  readonly timeoutMs: number;
  /** No answer is larger. */
  readonly limitBytes: number;
  /** Ends the request before its time. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer, of whoever has answered. */
export interface HttpResponse {
  readonly status: number;
  readonly text: string;
  readonly date: string | undefined;
  /** Where a redirection leads to; it is not followed. */
  readonly location: string | undefined;
}

/**
 * Not with `fetch`: that of Node 20 never settles if the connection is closed at once, and the process ends without a word.
 *
 * @throws RangeError if the answer is too large; errors of Node where there is none
 */
export function exchange(
  url: URL,
  { method = 'GET', headers = {}, body, timeoutMs, limitBytes, signal: ended }: HttpRequest,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = ended === undefined ? limit : AbortSignal.any([limit, ended]);
    const request = send(url, { method, headers: { ...headers, connection: 'close' }, agent: false, signal });
    request.once('error', reject);
    request.once('response', (response) => {
      response.once('error', reject);
      void textOf(response, limitBytes).then((text) => {
        const { statusCode: status = 0, headers: answered } = response;
        const { date, location } = answered;
        resolve({ status, text, date, location });
      }, reject);
    });
    request.end(body);
  });
}

/** @throws RangeError if there is more than the limit */
export async function textOf(response: IncomingMessage, limitBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    bytes += (part as Buffer).length;
    if (bytes > limitBytes) throw new RangeError(`more than ${limitBytes} bytes`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString();
}
