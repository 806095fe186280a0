import {
  createClient,
  type Client,
  type ClientError,
  type ClientOptions,
  type Subscription,
} from '../../client/index.js';
import type { ConnectionDependencies, ConnectionState } from '../../client/connection-settings.js';
import { FakeClock } from './fake-clock.js';

interface Request {
  readonly command: string;
  readonly body: Readonly<Record<string, unknown>>;
  answer(answer: object): void;
  refuse(error: ClientError): void;
}

/** A client whose service is the test: it says what the service would, and answers each request by hand. */
export class ScriptedService {
  readonly clock = new FakeClock();
  readonly requests: Request[] = [];
  readonly client: Client;
  private connection!: ConnectionDependencies;
  private isConnected = false;
  private isWanted = false;
  /** How often the client has asked for another connection. */
  renewals = 0;

  constructor(options: Partial<ClientOptions> = {}) {
    const { requests } = this;
    const isConnected = () => this.isConnected;
    this.client = createClient({
      url: '',
      token: '',
      clock: this.clock,
      connection: (dependencies) => {
        this.connection = dependencies;
        return {
          get isConnected() {
            return isConnected();
          },
          connect: () => {
            if (this.isWanted) return;
            this.isWanted = true;
            dependencies.onState({ state: 'connecting' });
          },
          disconnect: () => {
            if (this.isWanted) this.disconnect({ state: 'idle' });
          },
          probe: () => {},
          refresh: () => Promise.resolve(),
          renew: () => void this.renewals++,
          request: <Answer>(command: string, body: object) =>
            new Promise<Answer>((resolve, refuse) =>
              requests.push({
                command,
                body: body as Request['body'],
                answer: (answer) => resolve(answer as Answer),
                refuse,
              }),
            ),
        };
      },
      ...options,
    });
  }

  /** Connects the client, with topics that are restored. */
  async connect(...topics: readonly object[]): Promise<void> {
    this.client.connect();
    if (this.client.state.state === 'waiting') this.connection.onState({ state: 'connecting' });
    this.connection.handshake();
    this.isConnected = true;
    this.connection.onState({ state: 'connected' });
    this.event('status', { status: 'connected', details: { session_id: 's', topics } });
    await this.clock.settle();
  }

  /** Follows `news` after message 0; the service has restored the topic, and replays up to `end`. */
  async follow(end: number): Promise<Subscription> {
    const at = (sequence: number) => ({ epoch, sequence });
    const subscription = this.client.topic('news').subscribe({ since: at(0) });
    await this.connect({ topic: 'news', ...at(end), recovered: true });
    return subscription;
  }

  disconnect(state: ConnectionState = { state: 'waiting', reason: 'transport close' }): void {
    this.isConnected = false;
    this.isWanted &&= state.state === 'waiting';
    this.connection.onState(state);
  }

  event(event: string, data: unknown, ack?: () => void): void {
    this.connection.onEvent(event, data, ack);
  }

  /** Messages of a topic, all of one epoch; their payload is their number. */
  messages(topic: string, from: number, to: number, ack?: (sequence: number) => void): void {
    for (let n = from; n <= to; n++)
      this.event('message', messageOf(topic, n, ack !== undefined), ack && (() => ack(n)));
  }

  /** The last request of a command. */
  last(command: string): Request {
    const request = this.requests.findLast((one) => one.command === command);
    if (request === undefined) throw new Error(`no ${command}`);
    return request;
  }
}

export const epoch = 'e';

export function messageOf(topic: string, sequence: number, isConfirmed = false): object {
  const id = `${topic}-${String(sequence).padStart(6, '0')}`;
  return { id, topic, epoch, sequence, payload: sequence, ...(isConfirmed && { confirm: true }) };
}
