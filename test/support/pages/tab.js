// A tab that shares its connection with others, keeps its own list, and publishes.
import { createClient } from '../../../dist/client/index.mjs';
import { createOutbox } from '../../../dist/client/outbox.mjs';
import { savedState } from '../../../dist/client/state.mjs';
import { sharedConnection } from '../../../dist/client/tabs.mjs';

const { url, token } = JSON.parse(localStorage.getItem('settings'));
const worker = new URL(location.href).searchParams.get('worker') ?? undefined;
const list = JSON.parse(sessionStorage.getItem('list') ?? '[]');
const client = createClient({
  url,
  token,
  state: savedState(),
  outgoing: { store: createOutbox() },
  reconnect: { baseDelayMs: 50, maxDelayMs: 500 },
  connection: sharedConnection({ worker }),
});
client.on('error', (error) => console.error(error.code, error.message));
client.on('state', ({ state }) => (document.title = state));
const subscription = client.topic('list').subscribe();
subscription.on('message', ({ sequence, payload }) => {
  list.push([sequence, payload]);
  sessionStorage.setItem('list', JSON.stringify(list));
});
subscription.on('subscribed', () => (window.isSubscribed = true));
client.connect();
addEventListener('pageshow', ({ persisted }) => (window.wasCached = persisted));
window.client = client;
window.list = list;
