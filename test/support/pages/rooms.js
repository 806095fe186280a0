// A page in React that changes its topic, and keeps what it has shown with each rendering that reached the screen.
import { createElement as h, useLayoutEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from '../../../dist/client/index.mjs';
import { ClientProvider, usePresence, useTopic } from '../../../dist/client/react.mjs';

const client = createClient(Object.fromEntries(new URLSearchParams(location.search)));
window.shown = [];

function Rooms() {
  const [room, setRoom] = useState('room-a');
  const { messages } = useTopic(room);
  const users = usePresence(room);
  window.enter = setRoom;
  useLayoutEffect(() => {
    window.shown.push({ room, topics: messages.map(({ topic }) => topic), users: [...users.keys()] });
  });
  return h('p', null, `${room}: ${messages.length} messages, ${users.size} users`);
}

const app = createRoot(document.getElementById('app'));
app.render(h(ClientProvider, { client }, h(Rooms)));
