import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A post received by a test's webhook. */
export interface Posted {
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
}

/** An HTTP server that receives posts, and refuses some of them if requested. */
export class TestWebhook {
  readonly posts: Posted[] = [];
  private readonly server: Server;

  private constructor(private failing: number) {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Posted['body'];
        this.posts.push({ body, headers: request.headers });
        response.statusCode = this.failing-- > 0 ? 500 : 200;
        response.end('{}');
      });
    });
  }

  static async start(failing = 0): Promise<TestWebhook> {
    const webhook = new TestWebhook(failing);
    await new Promise<void>((resolve) => webhook.server.listen(0, '127.0.0.1', resolve));
    return webhook;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Answers the next `count` posts with 500. */
  failNext(count: number): void {
    this.failing = count;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
