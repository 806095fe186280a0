// A stock socket.io-client app: URL=http://localhost:8081 TOKEN=eyJ… node examples/socketio-client.mjs
import { io } from 'socket.io-client';

const { URL: url = 'http://localhost:8081', TOKEN: token } = process.env;
const socket = io(url, { auth: { token } });
/** Where each topic goes on after a reconnection. */
const last = {};

socket.on('connect_error', (error) => console.error(error.data?.code ?? error.message));
socket.on('message', ({ topic, epoch, sequence, payload }) => {
  last[topic] = { epoch, sequence };
  console.log(topic, sequence, JSON.stringify(payload));
  socket.disconnect();
});
socket.on('connect', async () => {
  try {
    await socket.timeout(5000).emitWithAck('subscribe', { topics: ['jobs'], since: last });
    const answer = await socket.timeout(5000).emitWithAck('publish', { topic: 'jobs', payload: { hi: 1 } });
    if (!answer.ok) console.error(answer.error.message);
  } catch (error) {
    if (socket.active) console.error(`no answer: ${error.message}`);
  }
});
