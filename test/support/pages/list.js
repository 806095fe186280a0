// A page that keeps its list in localStorage, shows it, and publishes.
import { createClient } from '../../../dist/client/index.mjs';
import { createOutbox } from '../../../dist/client/outbox.mjs';
import { savedState } from '../../../dist/client/state.mjs';

const { url, token } = JSON.parse(localStorage.getItem('settings'));
const list = JSON.parse(localStorage.getItem('list') ?? '[]');
const client = createClient({
  url,
  token,
  state: savedState({ store: 'local' }),
  outgoing: { store: createOutbox() },
  reconnect: { baseDelayMs: 50, maxDelayMs: 500 },
});
client.on('error', (error) => console.error(error.code, error.message));
client.on('state', ({ state }) => (document.title = state));
const subscription = client.topic('list').subscribe();
subscription.on('subscribed', () => (window.isSubscribed = true));
subscription.on('message', ({ sequence, payload }) => {
  list.push([sequence, payload]);
  localStorage.setItem('list', JSON.stringify(list));
});
client.connect();
addEventListener('pageshow', ({ persisted }) => (window.wasCached = persisted));
window.client = client;
window.list = list;
