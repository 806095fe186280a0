import type { Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import { answerOf, frameOf } from '../../bench/chaos/clients/json-frames.js';
import { connectClient, JsonClient, type TestAnswer } from './clients.js';
import { tokenOf } from './replica.js';
import { until } from './wait.js';

/** A command in the form of Socket.IO. */
export interface SentCommand {
  readonly command: 'subscribe' | 'unsubscribe' | 'publish' | 'history' | 'missed' | 'refresh';
  readonly request: object;
}

/** A client that sends commands without waiting for answers, and records what it receives. */
export interface UnawaitedClient {
  readonly connectionId: string;
  /** Messages of its topics, in the order of their arrival. */
  readonly messages: readonly Pick<Message, 'topic' | 'sequence'>[];
  /** Sends a command; resolves to its answer, in the form of Socket.IO. */
  send(sent: SentCommand): Promise<TestAnswer>;
  close(): void;
}

/** Connects a client to an embedded service. */
export async function connectUnawaited(
  wire: 'Socket.IO' | '/ws',
  service: { readonly url: string; readonly webSocketUrl: string },
  userId: string,
  roles: readonly string[],
): Promise<UnawaitedClient> {
  return wire === 'Socket.IO'
    ? SocketIoClient.connect(service.url, userId, roles)
    : FrameClient.connect(service.webSocketUrl, userId, roles);
}

class SocketIoClient implements UnawaitedClient {
  /** Kept, because a socket that is closed has no id. */
  readonly connectionId: string;

  private constructor(
    private readonly socket: Socket,
    readonly messages: readonly Message[],
  ) {
    this.connectionId = socket.id!;
  }

  static async connect(url: string, userId: string, roles: readonly string[]): Promise<SocketIoClient> {
    const messages: Message[] = [];
    const socket = await connectClient(url, userId, {
      auth: { token: tokenOf(userId, { roles }) },
      listen: (client) => client.on('message', (message: Message) => messages.push(message)),
    });
    return new SocketIoClient(socket, messages);
  }

  send({ command, request }: SentCommand): Promise<TestAnswer> {
    return this.socket.timeout(60_000).emitWithAck(command, request) as Promise<TestAnswer>;
  }

  close(): void {
    this.socket.disconnect();
  }
}

class FrameClient implements UnawaitedClient {
  private sent = 0;
  private readonly answered = new Map<unknown, (answer: TestAnswer) => void>();

  private constructor(
    private readonly client: JsonClient,
    readonly connectionId: string,
  ) {
    client.webSocket.on('message', (data: Buffer) => this.onFrame(data.toString()));
  }

  static async connect(url: string, userId: string, roles: readonly string[]): Promise<FrameClient> {
    const client = new JsonClient(url, userId, '', { roles });
    await until(() => client.of('Status').length > 0, 'the client is connected', 30_000);
    const { connection_id: id } = client.of('Status')[0]!.data['details'] as { connection_id: string };
    return new FrameClient(client, id);
  }

  get messages(): readonly Message[] {
    return this.client.received.messages;
  }

  send({ command, request }: SentCommand): Promise<TestAnswer> {
    const id = ++this.sent;
    return new Promise((resolve) => {
      this.answered.set(id, resolve);
      this.client.send({ type: frameOf[command], id, data: request });
    });
  }

  close(): void {
    this.client.close();
  }

  private onFrame(text: string): void {
    const { type, data, id } = JSON.parse(text) as {
      type: string;
      data: Record<string, unknown>;
      id?: number;
    };
    const resolve = this.answered.get(id);
    if (resolve === undefined) return;
    this.answered.delete(id);
    resolve(answerOf(type, data) as TestAnswer);
  }
}
