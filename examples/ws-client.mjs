// A raw WebSocket client: URL=http://localhost:8081 TOKEN=eyJ… node examples/ws-client.mjs
// In a browser, WebSocket is there; Node has it from version 22 on, and the package ws for all versions.
import WebSocket from 'ws';

const { URL: url = 'http://localhost:8081', TOKEN: token } = process.env;
const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, ['rtc', `rtc.token.${token}`]);
const send = (type, data, id) => socket.send(JSON.stringify({ type, data, id }));

socket.on('open', () => send('Subscribe', { topics: ['jobs'] }));
socket.on('error', (error) => console.error(error.message));
socket.on('message', (text) => {
  const { type, data } = JSON.parse(text);
  if (type === 'Status' && data.status === 'subscribed')
    send('Broadcast', { topic: 'jobs', payload: { hi: 2 } });
  if (type === 'Error') console.error(data.message);
  if (type !== 'Broadcast') return;
  console.log(data.topic, data.sequence, JSON.stringify(data.payload));
  socket.close();
});
