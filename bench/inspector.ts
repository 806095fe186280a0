import { WebSocket } from 'ws';

/** What finalizers free is collected by the next one. */
const collections = 3;

/** A process that was started with `--inspect`. */
export class Inspector {
  private id = 0;

  private constructor(private readonly webSocket: WebSocket) {}

  static async connect(port: number): Promise<Inspector> {
    const targets = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
    const [target] = targets as { webSocketDebuggerUrl: string }[];
    const webSocket = new WebSocket(target!.webSocketDebuggerUrl);
    await new Promise((resolve) => webSocket.once('open', resolve));
    return new Inspector(webSocket);
  }

  async collectGarbage(): Promise<void> {
    for (let n = 0; n < collections; n++) await this.call('HeapProfiler.collectGarbage');
  }

  /** Bytes of the heap that are in use. */
  async heapBytes(): Promise<number> {
    const { usedSize } = (await this.call('Runtime.getHeapUsage')) as { usedSize: number };
    return usedSize;
  }

  /** Bytes of the heap and of buffers that are in use. */
  async usedBytes(): Promise<number> {
    const expression = 'process.memoryUsage().heapUsed + process.memoryUsage().external';
    const { result } = (await this.call('Runtime.evaluate', { expression })) as { result: { value: number } };
    return result.value;
  }

  close(): void {
    this.webSocket.close();
  }

  /** One call at a time. */
  private async call(method: string, params?: object): Promise<unknown> {
    this.webSocket.send(JSON.stringify({ id: ++this.id, method, params }));
    const answer = await new Promise<string>((resolve) =>
      this.webSocket.once('message', (text) => resolve(String(text))),
    );
    return (JSON.parse(answer) as { result: unknown }).result;
  }
}
