'use client';
import { createContext, createElement, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { FunctionComponent, ReactNode } from 'react';
import type { AnyClient, ClientError, ConnectionState, Gap, PublishReceipt, TopicMessage } from './index.js';

/** A question for which the service has no room is asked again after so many milliseconds. */
const askAgainMs = 1000;

/** How many mounted providers use a client. */
const users = new WeakMap<AnyClient, number>();

/** Connects a client for its first user. Returns a function that releases it. */
function retain(client: AnyClient): () => void {
  const before = users.get(client) ?? 0;
  users.set(client, before + 1);
  if (before === 0) client.connect();
  return () => {
    // Not at once: StrictMode, and a page that is exchanged, unmount and mount again in the same turn.
    setTimeout(() => {
      const left = users.get(client)! - 1;
      users.set(client, left);
      if (left === 0) client.disconnect();
    });
  };
}

const ClientContext = createContext<AnyClient | undefined>(undefined);

interface ClientProviderProps {
  /** Made once, outside of components. The provider connects it while it is mounted. */
  readonly client: AnyClient;
  readonly children?: ReactNode;
}

/** Gives a client to the components below. */
export const ClientProvider: FunctionComponent<ClientProviderProps> = ({ client, children }) => {
  useEffect(() => retain(client), [client]);
  return createElement(ClientContext, { value: client }, children);
};

/** The client of the nearest provider. */
export function useClient(): AnyClient {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error('there is no <ClientProvider> above this component');
  return client;
}

const idle: ConnectionState = { state: 'idle' };

/** The state of the connection. */
export function useConnection(): ConnectionState {
  const client = useClient();
  return useSyncExternalStore(
    (changed) => client.on('state', changed),
    () => client.state,
    () => idle,
  );
}

/** Resets what was of another topic before anything is shown of it under the new name. */
function useReset(name: string, reset: () => void): void {
  const [former, setFormer] = useState(name);
  if (former === name) return;
  setFormer(name);
  reset();
}

interface UseTopicOptions {
  /** Begin with so many of the newest messages. */
  readonly last?: number;
  /** Messages that are kept; the oldest ones go. */
  readonly max?: number;
}

interface UsedTopic<Payload> {
  /** In order. What was missed comes in one rendering. */
  readonly messages: readonly TopicMessage<Payload>[];
  /** The last loss; undefined if there was none. */
  readonly gap: Gap | undefined;
  readonly publish: (payload: Payload) => Promise<PublishReceipt>;
}

/** The messages of a topic, while the component is mounted. */
export function useTopic<Payload = unknown>(
  name: string,
  { last = 50, max = 500 }: UseTopicOptions = {},
): UsedTopic<Payload> {
  const client = useClient();
  const [messages, setMessages] = useState<readonly TopicMessage<Payload>[]>([]);
  const [gap, setGap] = useState<Gap>();
  const reset = () => {
    setMessages([]);
    setGap(undefined);
  };
  useReset(name, reset);
  useEffect(() => {
    reset();
    const subscription = client.topic(name).subscribe({ last });
    subscription.on('gap', setGap);
    subscription.on('batch', (batch) => {
      const added = batch.messages as readonly TopicMessage<Payload>[];
      setMessages((former) => [...former, ...added].slice(-max));
    });
    return () => subscription.close();
  }, [client, name, last, max]);
  return {
    messages,
    gap,
    publish: (payload) => client.topic(name).publish(payload),
  };
}

/** The users who are subscribed to a topic, each with the number of connections. */
export function usePresence(name: string): ReadonlyMap<string, number> {
  const client = useClient();
  const [users, setUsers] = useState<ReadonlyMap<string, number>>(new Map());
  useReset(name, () => setUsers(new Map()));
  useEffect(() => {
    const topic = client.topic(name);
    const subscription = topic.subscribe({ presence: true, last: 0 });
    type Change = readonly [user: string, connections: number];
    /** What comes while the list is asked for is applied to the answer. */
    let events: Change[] | undefined;
    let asked = 0;
    const change = (former: ReadonlyMap<string, number>, changes: readonly Change[]) => {
      const next = new Map(former);
      for (const [user, connections] of changes)
        if (connections > 0) next.set(user, connections);
        else next.delete(user);
      return next;
    };
    subscription.on('message', () => {});
    subscription.on('presence', ({ event, user_id: user, connections }) => {
      const one = [user, event === 'leave' ? 0 : connections] as const;
      events?.push(one);
      setUsers((former) => change(former, [one]));
    });
    subscription.on('subscribed', async () => {
      const question = ++asked;
      const during: Change[] = (events = []);
      const present: Change[] = [];
      let next: { readonly cursor?: string } | undefined = {};
      // Until another connection asks again, or nobody wants to know any more.
      while (next && question === asked)
        try {
          const page: Awaited<ReturnType<typeof topic.presence>> = await topic.presence(next);
          for (const { user_id: user, connections } of page.users) present.push([user, connections]);
          next = page.next;
        } catch (error) {
          if (!(error as ClientError).retryable) throw error;
          await new Promise((resolve) => setTimeout(resolve, askAgainMs));
        }
      if (question !== asked) return;
      setUsers(change(change(new Map(), present), during));
      events = undefined;
    });
    return () => {
      asked++;
      subscription.close();
    };
  }, [client, name]);
  return users;
}
