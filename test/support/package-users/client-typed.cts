import {
  createClient,
  ClientError,
  type Batch,
  type Client,
  type Subscription,
} from 'realtime-communication/client';

import { ConnectionMonitor, GuideClient } from 'realtime-communication/client/guide';
import { createOutbox } from 'realtime-communication/client/outbox';
import { savedState } from 'realtime-communication/client/state';
import { sharedConnection } from 'realtime-communication/client/tabs';

interface Order {
  readonly id: number;
}
interface Said {
  readonly text: string;
}

export const client: Client<{ 'orders.*': Order; chat: Said }> = createClient<{
  'orders.*': Order;
  chat: Said;
}>({
  url: 'https://service.example',
  token: (reason) => Promise.resolve(reason === 'expiring' ? 'a' : 'b'),
  reconnect: { maxAttempts: 10 },
  connection: sharedConnection({ worker: '/tabs-worker.js' }),
  state: savedState({ store: 'local' }),
  outgoing: { store: createOutbox({ name: 'ann' }) },
});

export const subscription: Subscription<Order> = client.topic('orders.eu').subscribe({ last: 20 });
subscription.on('message', ({ payload, replayed }) => (replayed === true ? 0 : payload.id));
subscription.on('batch', ({ messages }: Batch<Order>) => messages.map(({ payload }) => payload.id));

export async function said(): Promise<string[]> {
  const texts: string[] = [];
  for await (const { payload } of client.topic('chat').subscribe()) texts.push(payload.text);
  const receipt = await client.topic('chat').publish({ text: 'hi' }, { key: 'one', confirm: 'delivered' });
  const { state } = await client.getState('chat', () => Promise.resolve({ state: [receipt.id] }));
  return [...texts, ...state];
}

export const retryable = (error: unknown): boolean => error instanceof ClientError && error.retryable;

export const monitor: ConnectionMonitor = new ConnectionMonitor(client);
new GuideClient(client).on('Broadcast', ({ payload, sequence }) => [
  payload,
  sequence,
  monitor.report().latencyMs.p95,
]);
