import { io, type Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import type { EventList } from './event-list.js';

/** How long the client stays away when it is cut, in milliseconds. */
export const awayMs = 10_000;

type Answer = {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string };
  readonly rejected?: readonly unknown[];
  readonly topics?: readonly (Position & { readonly topic: string; readonly recovered?: boolean })[];
};

interface TalkDependencies {
  readonly events: EventList;
  /** The token, renewed if it is old. */
  readonly token: () => Promise<string>;
  /** The service takes the token no more: it has expired, or the service has started anew with another secret. */
  readonly onTokenRefused: () => void;
  /** Something has changed that the page shows. */
  readonly onChange: () => void;
}

/** The page's client: a plain socket.io-client. */
export class Talk {
  /** Topic that is subscribed, and where it goes on after a cut. */
  topic: string | undefined;
  last: Position | undefined;
  isAway = false;
  hasPublished = false;
  hasBeenAway = false;
  private socket: Socket | undefined;
  /** Ids of messages that were published while the client was away. */
  private readonly missed = new Set<string>();

  constructor(private readonly dependencies: TalkDependencies) {}

  get isConnected(): boolean {
    return this.socket?.connected === true;
  }

  connect(): void {
    const { events, token, onChange, onTokenRefused } = this.dependencies;
    if (this.socket !== undefined) {
      this.comeBack();
      return;
    }
    const socket = (this.socket = io({
      // A long-polling client would be cut only with its next request.
      transports: ['websocket'],
      auth: (send) => void token().then((text) => send({ token: text }), this.failed('no token')),
      reconnectionDelay: awayMs,
      reconnectionDelayMax: awayMs,
      randomizationFactor: 0,
    }));
    events.add('sent', 'connect', { auth: { token: '…' } });
    socket.on('connect', () => {
      this.isAway = false;
      if (this.topic !== undefined) void this.subscribe(this.topic);
      onChange();
    });
    socket.on('disconnect', (reason) => {
      events.add('note', `disconnected: ${reason}`);
      this.isAway = socket.active;
      onChange();
    });
    socket.on('connect_error', (error: Error & { data?: { code?: string } }) => {
      events.add('problem', `not connected: ${error.data?.code ?? ''} ${error.message}`);
      // Refused: a later press of the button tries again.
      if (!socket.active) this.end();
      if (['unauthorized', 'token_expired'].includes(error.data?.code ?? '')) onTokenRefused();
      onChange();
    });
    socket.on('token_expiring', () => void this.refresh());
    socket.onAny((event: string, data: unknown) => {
      if (event !== 'message') events.add('received', event, data);
    });
    socket.on('message', (message: Message) => this.received(message));
  }

  async subscribe(topic: string): Promise<void> {
    if (this.topic !== topic) {
      if (this.topic !== undefined) void this.ask('unsubscribe', { topics: [this.topic] });
      this.last = undefined;
      this.topic = topic;
    }
    const { last } = this;
    const answer = await this.ask('subscribe', {
      topics: [topic],
      ...(last !== undefined && { since: { [topic]: last } }),
    });
    const [subscribed] = answer?.topics ?? [];
    if (subscribed === undefined) {
      // Refused, such as for its name. Without an answer the client subscribes when it is back.
      if (answer !== undefined && this.topic === topic) this.topic = undefined;
      this.dependencies.onChange();
      return;
    }
    const { epoch, sequence, recovered } = subscribed;
    if (last === undefined) this.last = { epoch, sequence };
    else if (recovered === true) this.dependencies.events.add('note', 'nothing was lost: recovered is true');
    this.dependencies.onChange();
  }

  async publish(payload: string): Promise<void> {
    const answer = await this.ask('publish', { topic: this.topic, payload });
    this.hasPublished ||= answer?.ok === true;
    this.dependencies.onChange();
  }

  /** Ends the transport under the client. It reconnects by itself. */
  cut(): void {
    this.dependencies.events.add('note', `the connection is cut for ${awayMs / 1000} seconds`);
    this.socket?.io.engine.close();
  }

  /** Over HTTP: this client is not connected, or it need not be. */
  async publishByHttp(payload: string): Promise<void> {
    const { events, token, onChange } = this.dependencies;
    try {
      const body = { topic: this.topic, payload };
      events.add('http', 'POST /api/publish', body);
      const response = await fetch('/api/publish', {
        method: 'POST',
        headers: { authorization: `Bearer ${await token()}` },
        body: JSON.stringify(body),
      });
      const answer = (await response.json()) as { id?: string };
      events.add(response.ok ? 'http' : 'problem', String(response.status), answer);
      if (answer.id !== undefined) this.missed.add(answer.id);
      this.hasBeenAway ||= response.ok;
    } catch (error) {
      events.add('problem', `not published: ${String(error)}`);
    }
    onChange();
  }

  /** Does not wait until the time of the cut is over. */
  comeBack(): void {
    if (this.socket === undefined || this.socket.connected) return;
    this.dependencies.events.add('sent', 'connect', { auth: { token: '…' } });
    // The manager would go on waiting for its next attempt.
    this.socket.disconnect();
    this.socket.connect();
  }

  private received(message: Message): void {
    const { topic, epoch, sequence } = message;
    if (topic === this.topic) this.last = { epoch, sequence };
    const mark = this.missed.delete(message.id) ? 'published while you were away' : undefined;
    this.dependencies.events.add('received', 'message', message, mark);
    this.dependencies.onChange();
  }

  private async refresh(): Promise<void> {
    const token = await this.dependencies.token().catch(this.failed('no token'));
    if (token !== undefined) await this.ask('refresh', { token }, { token: '…' });
  }

  /** @param shown what the list shows instead of the request */
  private async ask(command: string, request: object, shown: object = request): Promise<Answer | undefined> {
    const { events } = this.dependencies;
    const { socket } = this;
    if (socket === undefined) return undefined;
    events.add('sent', command, shown);
    try {
      const answer = (await socket.timeout(5000).emitWithAck(command, request)) as Answer;
      const isGood = answer.ok && (answer.rejected ?? []).length === 0;
      events.add(isGood ? 'received' : 'problem', `answer of ${command}`, answer);
      return answer;
    } catch (error) {
      events.add('problem', `no answer of ${command}: ${String(error)}`);
      return undefined;
    }
  }

  private end(): void {
    this.socket?.close();
    this.socket = undefined;
    this.isAway = false;
  }

  private failed(what: string): (error: unknown) => undefined {
    return (error) => {
      this.dependencies.events.add(
        'problem',
        `${what}: ${error instanceof Error ? error.message : String(error)}`,
      );
      return undefined;
    };
  }
}
