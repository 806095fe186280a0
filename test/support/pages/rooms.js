// A page in React that changes its topic, and keeps what it has shown with each rendering that reached the screen.
import { createElement as h, useLayoutEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { ClientError, createClient } from '../../../dist/client/index.mjs';
import { ClientProvider, usePresence, useTopic } from '../../../dist/client/react.mjs';

const { refusals, code, ...options } = Object.fromEntries(new URLSearchParams(location.search));
// Refuses so many questions who is there, as a service without room does.
window.refusals = Number(refusals ?? 0);

function makeClient(token) {
  const client = createClient({ ...options, token });
  const topicOf = client.topic.bind(client);
  client.topic = (name) => {
    const topic = topicOf(name);
    const presence = topic.presence.bind(topic);
    topic.presence = (page) =>
      window.refusals > 0 && window.refusals--
        ? Promise.reject(new ClientError(code ?? 'busy', 'no room'))
        : presence(page);
    const subscribe = topic.subscribe.bind(topic);
    topic.subscribe = (options) => {
      const subscription = subscribe(options);
      const on = subscription.on.bind(subscription);
      // Lets the test come and go as any number of users.
      subscription.on = (event, listener) => {
        if (event === 'presence') window.presence = listener;
        return on(event, listener);
      };
      return subscription;
    };
    return topic;
  };
  return client;
}
window.shown = [];

function Rooms() {
  const [room, setRoom] = useState('room-a');
  const { messages, error } = useTopic(room);
  const users = usePresence(room);
  window.enter = setRoom;
  useLayoutEffect(() => {
    window.shown.push({ room, topics: messages.map(({ topic }) => topic), users: [...users.keys()] });
  });
  return h(
    'p',
    null,
    `${room}: ${messages.length} messages, ${users.size} users${error ? `, ${error.code}` : ''}`,
  );
}

const app = createRoot(document.getElementById('app'));
window.signIn = (token) => app.render(h(ClientProvider, { client: makeClient(token) }, h(Rooms)));
window.signIn(options.token);
