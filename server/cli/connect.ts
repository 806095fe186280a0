import { Command } from 'commander';
import WebSocket from 'ws';
import { anyCount, payloadJson, readText, timeOption, wholeOption } from './arguments.js';
import { exitCodes } from './exit-codes.js';
import { connectionProblemOf } from './target/connection-problem.js';
import { jsonLine, printable, wordsOf } from './text-table.js';

/** Options of `rtc connect`. */
export interface ConnectOptions {
  readonly token?: string;
  readonly session?: string;
  readonly subscribe: readonly string[];
  readonly publish?: readonly string[];
  /** Ends after this time, in milliseconds. */
  readonly for?: number;
  /** Ends after this number of messages. */
  readonly count?: number;
}

interface Frame {
  readonly type: string;
  readonly data: unknown;
  readonly id?: unknown;
}

/** Where frames and messages about the run are written. */
interface ConnectOutput {
  readonly stdout: (frame: string) => void;
  readonly stderr: (text: string) => void;
}

/** Characters of a refusal that are shown. */
const refusalMax = 10_000;

const subscribeId = 'subscribe';
const publishId = 'publish';

/** `rtc connect`: a client of `/ws` for the command line. */
export function connectCommand(): Command {
  return new Command('connect')
    .description('connect to /ws and print each frame as a line of JSON')
    .argument('[url]', 'address of a replica', 'http://localhost:8081')
    .option('-t, --token <token>', 'token of a user; else the variable TOKEN', readText)
    .option('--session <id>', 'resume the session of this id', readText)
    .option('-s, --subscribe <topic...>', 'subscribe to topics', [])
    .option(
      '-p, --publish <topic payload...>',
      'publish once, when subscribed; a payload that is not JSON is text',
    )
    .addOption(timeOption('--for <time>', 'end after this time: 500ms, 2s, 5m'))
    .addOption(wholeOption('-n, --count <n>', 'end after this many messages', anyCount))
    .addHelpText(
      'after',
      [
        '',
        'Exit code 0: everything requested has arrived; 1: the service refused a request or closed the connection, or --for',
        'ended before --count messages came; 2: an argument is wrong. With --publish alone it ends when that is acknowledged, otherwise at Ctrl-C.',
        'Direct messages are shown and not acknowledged: they stay in the inbox of their user.',
      ].join('\n'),
    )
    .action(async (url: string, options: ConnectOptions) => {
      const token = options.token ?? process.env['TOKEN'];
      const output = { stdout: console.log, stderr: (text: string) => process.stderr.write(`${text}\n`) };
      process.exitCode = await connect(url, { ...options, ...(token && { token }) }, output);
    });
}

/** Runs until everything requested has arrived. Resolves to the exit code. */
export function connect(url: string, options: ConnectOptions, output: ConnectOutput): Promise<0 | 1 | 2> {
  const { publish } = options;
  if (publish !== undefined && publish.length !== 2) {
    output.stderr('--publish takes a topic and a payload: --publish news \'{"hi":1}\'');
    return Promise.resolve(exitCodes.usage);
  }
  const address = addressOf(url, options);
  if (address === undefined) {
    output.stderr(`${printable(url)} is not an address: http://localhost:8081`);
    return Promise.resolve(exitCodes.usage);
  }
  return new Promise((resolve) => {
    const webSocket = new WebSocket(address);
    const run = new ConnectRun(webSocket, options, output, (code) => {
      clearTimeout(limit);
      process.off('SIGINT', interrupted);
      webSocket.close();
      // The process must end even if the service does not answer the close.
      setTimeout(() => webSocket.terminate(), 1000).unref();
      resolve(code);
    });
    const interrupted = () => run.end();
    const limit = options.for === undefined ? undefined : setTimeout(() => run.end(), options.for);
    process.once('SIGINT', interrupted);
    webSocket.on('open', () => run.opened());
    webSocket.on('message', (data: Buffer) => run.received(data.toString()));
    webSocket.on('error', (error) => run.fail(`no connection: ${connectionProblemOf(error, 0).reason}`));
    webSocket.on('unexpected-response', (request, response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('error', () => {});
      const refused = () => {
        run.fail(
          `refused: ${response.statusCode} ${printable(body.trimStart().startsWith('<') ? wordsOf(body) : body.trim())}`,
        );
        request.destroy();
      };
      response.on('data', (text: string) => {
        body += text;
        if (body.length > refusalMax) refused();
      });
      response.on('end', refused);
    });
    webSocket.on('close', (code, reason) =>
      run.fail(`closed by the service: ${code} ${printable(reason.toString())}`.trimEnd()),
    );
  });
}

/** One run: a connection from its handshake until everything requested has arrived. */
class ConnectRun {
  private messages = 0;
  private subscribed: boolean;
  private published: boolean;
  private ended = false;

  constructor(
    private readonly webSocket: WebSocket,
    private readonly options: ConnectOptions,
    private readonly output: ConnectOutput,
    private readonly done: (code: 0 | 1) => void,
  ) {
    this.subscribed = options.subscribe.length === 0;
    this.published = options.publish === undefined;
  }

  opened(): void {
    if (this.subscribed) this.publish();
    else this.send('Subscribe', { topics: this.options.subscribe }, subscribeId);
  }

  received(text: string): void {
    if (this.ended) return;
    const frame = frameOf(text);
    if (frame === undefined) {
      this.fail(`not a frame of the service: ${printable(text.slice(0, 200))}`);
      return;
    }
    this.output.stdout(jsonLine(text));
    if (frame.type === 'Broadcast' || frame.type === 'Direct') this.messages++;
    if (frame.type === 'Error') this.fail('the service refused; see the last line');
    else if (frame.id === subscribeId) this.onSubscribed(frame);
    else if (frame.id === publishId) this.published = true;
    const { count, for: forMs, subscribe } = this.options;
    if (!this.subscribed || !this.published) return;
    const publishOnly = this.options.publish !== undefined && subscribe.length === 0 && forMs === undefined;
    if (count === undefined ? publishOnly : this.messages >= count) this.finish(0);
  }

  /** Called when the time is over, or on Ctrl-C. */
  end(): void {
    const { count = 0 } = this.options;
    if (!this.subscribed || !this.published) this.fail('the service did not answer');
    else if (this.messages < count) this.fail(`${this.messages} of ${count} messages came`);
    else this.finish(0);
  }

  fail(text: string): void {
    if (!this.ended) this.output.stderr(text);
    this.finish(1);
  }

  private onSubscribed(frame: Frame): void {
    const { details } = frame.data as { details?: { rejected?: readonly unknown[] } };
    if (details?.rejected?.length !== 0) {
      this.fail('the service refused a topic; see the last line');
      return;
    }
    this.subscribed = true;
    this.publish();
  }

  private publish(): void {
    const { publish } = this.options;
    if (publish === undefined) return;
    const data = `{"topic":${JSON.stringify(publish[0])},"payload":${payloadJson(publish[1] ?? '')}}`;
    this.webSocket.send(`{"type":"Broadcast","data":${data},"id":"${publishId}"}`);
  }

  private send(type: string, data: object, id: string): void {
    this.webSocket.send(JSON.stringify({ type, data, id }));
  }

  private finish(code: 0 | 1): void {
    if (this.ended) return;
    this.ended = true;
    this.done(code);
  }
}

function frameOf(text: string): Frame | undefined {
  try {
    const frame = JSON.parse(text) as Partial<Frame> | null;
    const isFrame = typeof frame?.type === 'string' && typeof frame.data === 'object' && frame.data !== null;
    return isFrame ? (frame as Frame) : undefined;
  } catch {
    return undefined;
  }
}

function addressOf(url: string, { token, session }: ConnectOptions): string | undefined {
  const written = /^[a-z]+:\/\//i.test(url) ? url.replace(/^http/i, 'ws') : `ws://${url}`;
  const address = URL.canParse(written) ? new URL(written) : undefined;
  if (address === undefined || !['ws:', 'wss:'].includes(address.protocol)) return undefined;
  if (address.pathname === '/') address.pathname = '/ws';
  if (token !== undefined) address.searchParams.set('token', token);
  if (session !== undefined) address.searchParams.set('session_id', session);
  return address.href;
}
