import type { AnyClient, ClientEvents, Status } from './events.js';
import { ClientError } from './client-error.js';
import type { DirectMessage } from './direct-messages.js';
import type { PresenceEvent, SubscribeOptions, TopicMessage } from './subscription-events.js';
import type { Subscription } from './subscription.js';
import type { Gap } from './topic-stream.js';

export { ConnectionMonitor, type ConnectionReport } from './monitor.js';

/** The guide's names of events. */
export interface GuideEvents {
  Status: Status;
  /** Each message of the topics that `subscribe` has subscribed. */
  Broadcast: TopicMessage;
  Direct: DirectMessage;
  Gap: Gap;
  Presence: PresenceEvent;
  SystemNotification: Readonly<Record<string, unknown>>;
  Error: ClientError;
  Pong: number;
}

const nameOf = {
  Status: 'status',
  Direct: 'direct',
  Gap: 'gap',
  Presence: 'presence',
  SystemNotification: 'system_notification',
  Error: 'error',
  Pong: 'pong',
} as const;

/** The guide's frames, and the commands that they stand for. */
const commandOf: Readonly<Record<string, string>> = {
  GetMissedMessages: 'missed',
  GetHistory: 'history',
  GetPresence: 'presence',
  Ping: 'ping',
};

interface Frame {
  readonly type: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** The client of the guide's programs: its names of events and frames, on a client of this library. */
export class GuideClient {
  private readonly subscriptions = new Map<string, Subscription>();
  private readonly listeners = new Set<(message: TopicMessage) => unknown>();

  constructor(private readonly client: AnyClient) {}

  /** Adds a listener, of the guide's names or of those of the library. Returns a function that removes it. */
  on<Name extends keyof GuideEvents>(name: Name, listener: (event: GuideEvents[Name]) => unknown): () => void;
  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (event: ClientEvents[Name]) => unknown,
  ): () => void;
  on(name: string, listener: (event: never) => unknown): () => void {
    if (name !== 'Broadcast') {
      const known = (nameOf as Readonly<Record<string, string>>)[name] ?? name;
      return this.client.on(known as keyof ClientEvents, listener as (event: unknown) => unknown);
    }
    const each = listener as (message: TopicMessage) => unknown;
    this.listeners.add(each);
    return () => this.listeners.delete(each);
  }

  /** Topics that an earlier page has left in the saved state. */
  get savedTopics(): readonly string[] {
    return this.client.savedTopics;
  }

  /** Messages come as the event `Broadcast`. */
  subscribe(topics: readonly string[], options: SubscribeOptions = {}): void {
    for (const name of topics) {
      if (this.subscriptions.has(name)) continue;
      const subscription = this.client.topic(name).subscribe(options);
      this.subscriptions.set(name, subscription);
      // The next message waits for what a listener returns.
      // Also of the others, if one throws.
      subscription.on('message', async (message) => {
        const results = await Promise.allSettled([...this.listeners].map(async (each) => each(message)));
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      });
      subscription.on('ended', () => {
        if (this.subscriptions.get(name) === subscription) this.unsubscribe([name]);
      });
    }
  }

  unsubscribe(topics: readonly string[]): void {
    for (const name of topics) {
      const subscription = this.subscriptions.get(name);
      this.subscriptions.delete(name);
      subscription?.close();
    }
  }

  /** Sends one of the guide's frames. Resolves to its answer. */
  async send({ type, data = {} }: Frame): Promise<unknown> {
    const { topics, topic, to, payload, token, ...rest } = data as {
      readonly topics?: readonly string[];
      readonly topic?: string;
      readonly to?: string;
      readonly payload?: unknown;
      readonly token?: string;
      readonly timeout_ms?: number;
    };
    switch (type) {
      case 'Subscribe':
        return this.subscribe(topics ?? []);
      case 'Unsubscribe':
        return this.unsubscribe(topics ?? []);
      case 'Broadcast': {
        const { timeout_ms: timeoutMs, ...options } = rest;
        return this.client.topic(topic!).publish(payload, { ...options, timeoutMs });
      }
      case 'Direct':
        return this.client.direct(to!, payload, rest);
      case 'RefreshToken':
        return token === undefined ? this.client.refresh() : this.client.request('refresh', { token });
      case 'Ack':
        // The library acknowledges by itself.
        return undefined;
      default: {
        const command = commandOf[type];
        if (command === undefined) throw new ClientError('unknown_type', `there is no frame ${type}`);
        return this.client.request(command, data);
      }
    }
  }
}
