import WebSocket from 'ws';

/** A frame of `/ws`. */
export interface ProbeFrame {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly id?: unknown;
}

/** A refused step: the code and text of the service, or what was seen instead of an answer. */
export class ProbeError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A client of `/ws` with answers as promises. */
export class ProbeClient {
  onMessage: (data: ProbeFrame['data']) => void = () => {};
  private readonly waiting = new Map<
    string,
    { resolve: (frame: ProbeFrame) => void; reject: (error: Error) => void }
  >();
  private closed: ProbeError | undefined;
  private requests = 0;

  private constructor(
    private readonly webSocket: WebSocket,
    private readonly timeoutMs: number,
  ) {
    webSocket.on('message', (data: Buffer) => {
      try {
        this.received(JSON.parse(data.toString()) as ProbeFrame);
      } catch {
        webSocket.close(4000, 'not a frame of the service');
      }
    });
    webSocket.on('error', () => {});
    webSocket.on('close', (code) => {
      this.closed = new ProbeError('closed', `the connection was closed with ${code}`);
      for (const { reject } of this.waiting.values()) reject(this.closed);
      this.waiting.clear();
    });
  }

  /** Resolves when the service has said that the client is connected. @throws ProbeError */
  static async connect(url: string, token: string, timeoutMs: number): Promise<ProbeClient> {
    const headers = { authorization: `Bearer ${token}` };
    const webSocket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, {
      headers,
      handshakeTimeout: timeoutMs,
    });
    const client = new ProbeClient(webSocket, timeoutMs);
    // The first status may come in the same chunk as the answer to the upgrade.
    const status = client.answerOf(undefined);
    const refused = new Promise<never>((_resolve, reject) => {
      webSocket.once('error', (error) => reject(new ProbeError('no_connection', error.message)));
      webSocket.once('unexpected-response', (request, response) => {
        request.destroy();
        reject(new ProbeError(`http_${response.statusCode}`, `answered ${response.statusCode}`));
      });
    });
    try {
      await Promise.race([status, refused]);
      return client;
    } catch (error) {
      webSocket.terminate();
      throw error;
    }
  }

  /** The answer to a frame. @throws ProbeError */
  ask(type: string, data: object): Promise<ProbeFrame> {
    const id = `doctor-${++this.requests}`;
    const answer = this.answerOf(id);
    this.webSocket.send(JSON.stringify({ type, data, id }));
    return answer;
  }

  get isClosed(): boolean {
    return this.closed !== undefined;
  }

  /** Called with each heartbeat of the service. */
  onHeartbeat(run: () => void): void {
    this.webSocket.on('ping', run);
  }

  onceClosed(run: () => void): void {
    this.webSocket.once('close', run);
  }

  close(): void {
    this.webSocket.close();
    setTimeout(() => this.webSocket.terminate(), 500).unref();
  }

  /** `undefined`: the first status, which has no id. */
  private answerOf(id: string | undefined): Promise<ProbeFrame> {
    if (this.closed !== undefined) return Promise.reject(this.closed);
    const key = id ?? 'connected';
    return new Promise<ProbeFrame>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(key);
        reject(new ProbeError('timeout', `no answer within ${this.timeoutMs} ms`));
      }, this.timeoutMs);
      const ended =
        <Value>(run: (value: Value) => void) =>
        (value: Value) => {
          clearTimeout(timer);
          run(value);
        };
      this.waiting.set(key, { resolve: ended(resolve), reject: ended(reject) });
    });
  }

  private received(frame: ProbeFrame): void {
    if (frame.type === 'Broadcast') {
      this.onMessage(frame.data);
      return;
    }
    const isFirst = frame.type === 'Status' && frame.data['status'] === 'connected';
    const key = isFirst ? 'connected' : typeof frame.id === 'string' ? frame.id : undefined;
    const waiting = key === undefined ? undefined : this.waiting.get(key);
    if (key === undefined || waiting === undefined) return;
    this.waiting.delete(key);
    const { code, message } = frame.data as { readonly code?: string; readonly message?: string };
    if (frame.type === 'Error') waiting.reject(new ProbeError(code ?? 'internal', message ?? ''));
    else waiting.resolve(frame);
  }
}
