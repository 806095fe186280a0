// A chat in React. Bundle it with any bundler; index.html loads the result as chat.js.
// The address of the service and a token are in the address of the page: ?url=http://localhost:8081&token=eyJ…
import { createElement as h, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from 'realtime-communication/client';
import { ClientProvider, useConnection, usePresence, useTopic } from 'realtime-communication/client/react';

const { url, token } = Object.fromEntries(new URLSearchParams(location.search));
// Made once, outside of components. ClientProvider connects it.
const client = createClient({ url, token });
client.on('error', (error) => console.error(error.code, error.message));

function Chat() {
  const { state } = useConnection();
  const { messages, publish } = useTopic('chat', { last: 50 });
  const users = usePresence('chat');
  return h(
    'main',
    null,
    h('p', { id: 'state' }, state),
    h('p', { id: 'users' }, [...users.keys()].sort().join(' ')),
    h('ol', null, ...messages.map(({ id, payload }) => h('li', { key: id }, payload.text))),
    h('button', { onClick: () => publish({ text: 'from React' }) }, 'say'),
  );
}

const app = createRoot(document.getElementById('app'));
app.render(h(StrictMode, null, h(ClientProvider, { client }, h(Chat))));
window.leave = () => app.render(null);
