import { lookup } from 'node:dns/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { connectionProblemOf } from '../../target/connection-problem.js';
import { exchange, textOf, type HttpRequest, type HttpResponse } from '../../target/http-exchange.js';
import { errorOf } from '../../target/service-client.js';
import { wordsOf } from '../../text-table.js';
import type { ReachObservation, Refusal, UpgradeObservation } from '../observations.js';

/** Bytes of an answer that are read. */
const answerMax = 16_000_000;

/** An answer, of whoever has answered. */
export interface HttpAnswer extends HttpResponse {
  /** Undefined if it is no JSON. */
  readonly body: unknown;
}

type Asking = Omit<HttpRequest, 'limitBytes'>;

/** One request on a connection of its own, so that a balancer chooses anew. Rejects where there is no answer. */
export async function askOnce(url: URL, asking: Asking): Promise<HttpAnswer> {
  const answer = await exchange(url, { ...asking, limitBytes: answerMax });
  return { ...answer, body: jsonOf(answer.text) };
}

/** Asks for an upgrade to a WebSocket, and ends it if it is made. */
export function askUpgrade(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<UpgradeObservation> {
  return new Promise((resolve) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'cnRjIGRvY3RvciBsb29rcw==',
    };
    const request = send(url, {
      headers: { ...headers, ...upgrade },
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.once('error', (error) =>
      resolve({ status: 0, code: 'no_answer', message: connectionProblemOf(error, timeoutMs).reason }),
    );
    request.once('upgrade', (_response, socket) => {
      socket.on('error', () => {});
      socket.destroy();
      resolve({ status: 101, code: 'ok', message: '' });
    });
    request.once('response', (response) => {
      void textOf(response, answerMax).then(
        (text) => resolve(refusalOf(response.statusCode ?? 0, jsonOf(text), text)),
        () =>
          resolve({ status: response.statusCode ?? 0, code: 'no_answer', message: 'the answer ended early' }),
      );
    });
    request.end();
  });
}

/** Looks whether the address has a name, a certificate and an answer. */
export async function lookAtAddress(
  url: URL,
  timeoutMs: number,
): Promise<{ reach: ReachObservation; health: HttpAnswer | undefined }> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const addresses = isIP(host)
    ? [host]
    : (await lookup(host, { all: true }).catch(() => [])).map(({ address }) => address);
  const tls =
    url.protocol === 'https:' && addresses.length > 0 ? await lookAtTls(url, host, timeoutMs) : null;
  const nothing = { addresses, status: null, answer_ms: null, clock_ahead_ms: null, tls };
  if (addresses.length === 0)
    return { reach: { ...nothing, problem: `the host name ${host} is not known` }, health: undefined };
  const startedAt = Date.now();
  try {
    const health = await askOnce(new URL(`${url.href.replace(/\/$/, '')}/health`), { timeoutMs });
    const endedAt = Date.now();
    const ahead =
      health.date === undefined ? null : aheadOf(Date.parse(health.date) + 500, startedAt, endedAt, 500);
    const answerMs = endedAt - startedAt;
    const { status, body, text, location = null } = health;
    const { code, message } = refusalOf(status, body, text);
    const answer = { code, message, location };
    return {
      reach: { ...nothing, problem: null, status, answer_ms: answerMs, clock_ahead_ms: ahead, answer },
      health,
    };
  } catch (error) {
    const { kind, reason } = connectionProblemOf(error, timeoutMs);
    return { reach: { ...nothing, problem: reason, problem_kind: kind }, health: undefined };
  }
}

/** How far a clock that was read between two instants is ahead of ours: 0 within what cannot be known. */
export function aheadOf(read: number, startedAt: number, endedAt: number, toleranceMs = 0): number {
  const ahead = read - (startedAt + endedAt) / 2;
  const unknownMs = (endedAt - startedAt) / 2 + toleranceMs;
  return Math.abs(ahead) <= unknownMs ? 0 : Math.round(ahead - Math.sign(ahead) * unknownMs);
}

/** A refusal as the service writes it, or what a proxy writes. */
export function refusalOf(status: number, body: unknown, text: string): Refusal {
  const { code, message } = errorOf(body, status);
  return { status, code, message: code === `http_${status}` ? wordsOf(text) : message };
}

function lookAtTls(url: URL, host: string, timeoutMs: number): Promise<ReachObservation['tls']> {
  return new Promise((resolve) => {
    const port = Number(url.port || 443);
    const name = isIP(host) ? {} : { servername: host };
    const socket = tlsConnect({ host, port, ...name, rejectUnauthorized: false, timeout: timeoutMs }, () => {
      const { valid_to: validTo, valid_from: validFrom } = socket.getPeerCertificate();
      const { authorized, authorizationError } = socket;
      socket.destroy();
      resolve({
        expires_at: Date.parse(validTo),
        valid_from: Date.parse(validFrom),
        problem: authorized ? null : String(authorizationError),
      });
    });
    const failed = () => {
      socket.destroy();
      resolve(null);
    };
    socket.once('error', failed);
    socket.once('timeout', failed);
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
