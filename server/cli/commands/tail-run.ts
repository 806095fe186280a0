import WebSocket from 'ws';
import {
  CliError,
  notJsonError,
  redirectError,
  strangeAnswerError,
  unreachableError,
  usageError,
} from '../cli-error.js';
import { readJson } from '../exact-answer.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { messageLine, type ShownMessage } from '../message-line.js';
import type { ServiceContext } from '../run-command.js';
import { errorOf } from '../target/service-client.js';
import { connectionProblemOf, type ConnectionProblem } from '../target/connection-problem.js';
import { printable, wordsOf } from '../text-table.js';

/** Options of `rtc tail`. */
export interface TailOptions {
  /** Ends after this number of messages. */
  readonly count?: number;
  /** Ends after this time, in milliseconds. */
  readonly for?: number;
  /** Begins after this position; one topic only. */
  readonly since?: { readonly epoch: string; readonly sequence: number };
}

interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly id?: unknown;
}

/** Characters of a refusal that are read. */
const refusalMax = 10_000;

const subscribeId = 'subscribe';
const closedProblem: ConnectionProblem = { kind: 'closed', reason: 'the service closed the connection' };
/** Between two attempts to connect again. */
const retryMs = { first: 250, max: 5000 } as const;

/** Follows topics until the end that the options set, or Ctrl-C. */
export function tail(
  topics: readonly string[],
  options: TailOptions,
  context: ServiceContext,
): Promise<ExitCode> {
  if (options.since !== undefined && topics.length > 1)
    throw usageError('--since is a position of one topic, and there are several', 'run rtc tail for each');
  if (context.target.token === undefined)
    throw usageError(
      'there is no token',
      'give --token, set TOKEN, or set JWT_SECRET to the secret of the service',
    );
  return new Tail(topics, options, context).run();
}

/** A subscriber that reconnects by itself, at its positions. */
class Tail {
  private readonly positions = new Map<string, Position>();
  private webSocket: WebSocket | undefined;
  private messages = 0;
  private wasConnected = false;
  private attempt = 0;
  /** Why the connection was lost. */
  private problem: ConnectionProblem = closedProblem;
  private retry: NodeJS.Timeout | undefined;
  private limit: NodeJS.Timeout | undefined;
  /** Until the subscription is answered. */
  private patience: NodeJS.Timeout | undefined;
  private settle!: { resolve: (code: ExitCode) => void; reject: (error: Error) => void };
  private readonly interrupted = () => this.end();

  constructor(
    private readonly topics: readonly string[],
    private readonly options: TailOptions,
    private readonly context: ServiceContext,
  ) {
    if (options.since !== undefined) this.positions.set(topics[0]!, options.since);
  }

  async run(): Promise<ExitCode> {
    process.once('SIGINT', this.interrupted);
    process.once('SIGTERM', this.interrupted);
    if (this.options.for !== undefined) this.limit = setTimeout(this.interrupted, this.options.for);
    try {
      return await new Promise<ExitCode>((resolve, reject) => {
        this.settle = { resolve, reject };
        this.connect();
      });
    } finally {
      clearTimeout(this.limit);
      clearTimeout(this.retry);
      clearTimeout(this.patience);
      process.off('SIGINT', this.interrupted);
      process.off('SIGTERM', this.interrupted);
      const { webSocket } = this;
      this.webSocket = undefined;
      webSocket?.close();
      // The process must end even if the service does not answer the close.
      setTimeout(() => webSocket?.terminate(), 1000).unref();
    }
  }

  /** Called when the time is over, or on Ctrl-C. */
  private end(): void {
    const { count = 0 } = this.options;
    if (!this.wasConnected)
      this.fail(
        unreachableError('there is no connection yet', {
          kind: 'timeout',
          reason: 'the time of --for is over',
        }),
      );
    else if (this.messages >= count) this.settle.resolve(exitCodes.done);
    else this.fail(new CliError(`${this.messages} of ${count} messages came`, exitCodes.failed, 'timeout'));
  }

  private fail(error: CliError): void {
    this.settle.reject(error);
  }

  private connect(): void {
    const { target, timeoutMs } = this.context;
    const address = `${target.url.replace(/^http/, 'ws')}/ws`;
    const headers = { authorization: `Bearer ${target.token}` };
    const webSocket = new WebSocket(address, { headers, handshakeTimeout: timeoutMs });
    this.webSocket = webSocket;
    this.problem = closedProblem;
    webSocket.on('open', () => this.subscribe(webSocket));
    webSocket.on('message', (data: Buffer) => {
      if (this.webSocket !== webSocket) return;
      try {
        this.received(webSocket, readJson(data.toString()) as Frame);
      } catch (error) {
        this.fail(strangeAnswerError(target.url, (error as Error).message));
      }
    });
    webSocket.on('error', (error) => (this.problem = connectionProblemOf(error, timeoutMs)));
    webSocket.on('unexpected-response', (request, response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('error', () => {});
      const refused = () => {
        request.destroy();
        this.refused(response.statusCode ?? 0, body, response.headers.location);
      };
      response.on('data', (text: string) => {
        body += text;
        if (body.length > refusalMax) refused();
      });
      response.on('end', refused);
    });
    webSocket.on('close', (code, reason) => {
      if (this.webSocket !== webSocket) return;
      const { problem } = this;
      const end = code === 1006 ? '' : `: ${code} ${reason.toString()}`.trimEnd();
      this.lost({ ...problem, reason: problem.reason + end });
    });
  }

  private subscribe(webSocket: WebSocket): void {
    const since = Object.fromEntries(this.positions);
    const data = { topics: this.topics, ...(this.positions.size > 0 && { since }) };
    const { timeoutMs } = this.context;
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.problem = { kind: 'timeout', reason: `no answer within ${timeoutMs} ms` };
      webSocket.terminate();
    }, timeoutMs);
    webSocket.send(JSON.stringify({ type: 'Subscribe', data, id: subscribeId }));
  }

  private received(webSocket: WebSocket, { type, data, id }: Frame): void {
    switch (type) {
      case 'Broadcast':
        this.message(webSocket, data as unknown as ShownMessage & { confirm?: true });
        break;
      case 'Gap':
        this.gap(data as unknown as Position & { topic: string; reason: string });
        break;
      case 'Error':
        this.error(data as { code?: string; message?: string }, id);
        break;
      case 'Status':
        if (id === subscribeId) this.subscribed(data);
    }
  }

  private message(webSocket: WebSocket, message: ShownMessage & { readonly confirm?: true }): void {
    const { terminal } = this.context;
    // A publisher that waits for its subscribers must not wait for this one in vain.
    if (message.confirm) webSocket.send(JSON.stringify({ type: 'Ack', data: { message_id: message.id } }));
    const { topic, epoch, sequence } = message;
    const last = this.positions.get(topic);
    if (last?.epoch === epoch && sequence <= last.sequence) return;
    this.positions.set(topic, { epoch, sequence });
    terminal.result(message, () => messageLine(message, terminal.paint));
    this.messages++;
    if (this.messages >= (this.options.count ?? Infinity)) this.settle.resolve(exitCodes.done);
  }

  private gap({ topic, epoch, sequence, reason }: Position & { topic: string; reason: string }): void {
    this.positions.set(topic, { epoch, sequence });
    this.context.terminal.note(
      printable(`messages of ${topic} are missing (${reason}); it goes on after ${epoch}:${sequence}`),
    );
  }

  private error({ code = 'internal', message = '' }: { code?: string; message?: string }, id: unknown): void {
    // The service closes the connection after other errors, if they matter.
    if (id === subscribeId) this.fail(new CliError(`refused: ${code}: ${message}`, exitCodes.failed, code));
    else this.context.terminal.note(printable(`${code}: ${message}`));
  }

  private subscribed(data: Record<string, unknown>): void {
    const { positions, rejected } = data['details'] as {
      positions: readonly (Position & { topic: string; recovered?: boolean })[];
      rejected: readonly { topic: string; error: { code: string; message: string } }[];
    };
    const [refused] = rejected;
    if (refused !== undefined) {
      const { code, message } = refused.error;
      this.fail(new CliError(`${refused.topic}: refused: ${code}: ${message}`, exitCodes.failed, code));
      return;
    }
    clearTimeout(this.patience);
    if (this.wasConnected) this.context.terminal.note('connected again');
    this.wasConnected = true;
    this.attempt = 0;
    for (const { topic, epoch, sequence, recovered } of positions) {
      if (recovered === false)
        this.context.terminal.note(
          printable(`messages of ${topic} are missing; it goes on after ${epoch}:${sequence}`),
        );
      // Without a position, a lost connection would skip what comes while it is lost.
      if (recovered === false || !this.positions.has(topic)) this.positions.set(topic, { epoch, sequence });
    }
  }

  /** The upgrade was refused, by the service or by something else. */
  private refused(status: number, body: string, location: string | undefined): void {
    const { url } = this.context.target;
    let answer: unknown;
    try {
      answer = JSON.parse(body);
    } catch {
      // A proxy answers in its own words.
    }
    const { code, message } = errorOf(answer, status);
    const isPassing = status === 503 || status === 429 || status === 502 || status === 504;
    if (this.wasConnected && isPassing)
      this.lost({
        kind: 'unreachable',
        reason: `${code}: ${answer === undefined ? wordsOf(body) : message}`,
      });
    else if (status >= 300 && status < 400 && location !== undefined)
      this.fail(redirectError(new URL(url), location));
    else if (answer === undefined) this.fail(notJsonError(url, status));
    else if (status < 400) this.fail(strangeAnswerError(url, `status ${status} instead of an upgrade`));
    else this.fail(new CliError(`refused: ${code}: ${message}`, exitCodes.failed, code));
  }

  private lost(problem: ConnectionProblem): void {
    clearTimeout(this.patience);
    const { terminal, target } = this.context;
    if (!this.wasConnected) {
      this.fail(unreachableError(`${target.url} cannot be reached`, problem));
      return;
    }
    if (this.attempt === 0) terminal.note(printable(`connection lost: ${problem.reason}; connecting again`));
    const delayMs = Math.min(retryMs.first * 2 ** this.attempt, retryMs.max) * (0.5 + Math.random() / 2);
    this.attempt++;
    this.retry = setTimeout(() => this.connect(), delayMs);
  }
}
