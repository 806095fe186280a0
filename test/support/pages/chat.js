// A chat in React, in StrictMode.
import { createElement as h, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from '../../../dist/client/index.mjs';
import { ClientProvider, useConnection, usePresence, useTopic } from '../../../dist/client/react.mjs';

const client = createClient({ ...JSON.parse(localStorage.getItem('settings')) });
client.on('error', (error) => console.error(error.code, error.message));

function Chat() {
  const { state } = useConnection();
  const { messages, publish } = useTopic('chat');
  const users = usePresence('chat');
  return h(
    'main',
    null,
    h('p', { id: 'state' }, state),
    h('p', { id: 'users' }, [...users.keys()].sort().join(' ')),
    h('ol', null, ...messages.map(({ id, payload }) => h('li', { key: id }, payload))),
    h('button', { onClick: () => publish('from React') }, 'say'),
  );
}

const app = createRoot(document.getElementById('app'));
app.render(h(StrictMode, null, h(ClientProvider, { client }, h(Chat))));
window.leave = () => app.render(null);
