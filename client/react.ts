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
  if (!before) client.connect();
  return () => {
    // Not at once: StrictMode, and a page that is exchanged, unmount and mount again in the same turn.
    setTimeout(() => {
      const left = users.get(client)! - 1;
      users.set(client, left);
      if (!left) client.disconnect();
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
  if (!client) throw new Error('no <ClientProvider> above');
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
  /** Why nothing comes any more: the service has refused the topic, or taken it away. */
  readonly error: ClientError | undefined;
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
  const [error, setError] = useState<ClientError>();
  const reset = () => {
    setMessages([]);
    setGap(undefined);
    setError(undefined);
  };
  useReset(name, reset);
  useEffect(() => {
    reset();
    const subscription = client.topic(name).subscribe({ last });
    subscription.on('gap', setGap);
    subscription.on('ended', setError);
    // A new connection, or a new token, may have the right again.
    subscription.on('subscribed', () => setError(undefined));
    subscription.on('batch', ({ messages: added }) =>
      setMessages((former) => [...former, ...(added as readonly TopicMessage<Payload>[])].slice(-max)),
    );
    return () => subscription.close();
  }, [client, name, last, max]);
  return {
    messages,
    gap,
    error,
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
    /** By user: how many connections. */
    type Counts = Map<string, number>;
    let shown: Counts = new Map();
    // Those of another client have nothing to do with it.
    setUsers(shown);
    /** What comes while the list is asked for is applied to the answer; another one for each question. */
    let events: Counts | undefined;
    const show = (former: Counts, changes: Counts) => {
      shown = new Map([...former, ...changes]);
      for (const [user, connections] of shown) if (!connections) shown.delete(user);
      setUsers(shown);
    };
    subscription.on('message', () => {});
    subscription.on('presence', ({ event, user_id: user, connections }) => {
      const left = event === 'leave' ? 0 : connections;
      events?.set(user, left);
      show(shown, new Map([[user, left]]));
    });
    const ask = async (): Promise<void> => {
      const present: Counts = new Map();
      const during: Counts = (events = new Map());
      let next: { readonly cursor?: string } | undefined = {};
      // Until another connection asks again, or nobody wants to know any more.
      while (next && during === events)
        try {
          const page: Awaited<ReturnType<typeof topic.presence>> = await topic.presence(next);
          for (const { user_id: user, connections } of page.users) present.set(user, connections);
          next = page.next;
        } catch (error) {
          if (during !== events) return;
          if (!(error as ClientError).retryable) {
            events = undefined;
            throw error;
          }
          await new Promise((resolve) => setTimeout(resolve, askAgainMs));
          // More has changed than was read: from the beginning, so that what is kept is bounded.
          if (during === events && during.size > present.size) return ask();
        }
      if (during !== events) return;
      show(present, during);
      events = undefined;
    };
    subscription.on('subscribed', ask);
    return () => {
      events = undefined;
      subscription.close();
    };
  }, [client, name]);
  return users;
}
