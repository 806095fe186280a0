import type { Position } from '../../shared/position.js';

export const steps = ['connect', 'subscribe', 'publish', 'cut', 'away'] as const;
export type Step = (typeof steps)[number];

export const languages = ['socketio', 'client', 'ws', 'curl'] as const;
export type Language = (typeof languages)[number];

/** What is filled into the code. */
export interface CodeContext {
  /** Address of the service, without a slash at its end. */
  readonly url: string;
  readonly token: string;
  readonly topic: string;
  readonly text: string;
  /** Where the page is in the topic; undefined before it has subscribed. */
  readonly last: Position | undefined;
}

/** How to run the code of a language. */
export const howToRun: Readonly<Record<Language, string>> = {
  socketio: 'Save it in the checkout as first-steps.mjs, and run: node first-steps.mjs',
  client: 'Save it in the checkout as first-steps.mjs, and run: node first-steps.mjs',
  ws: 'Save it in the checkout as first-steps.mjs, and run: node first-steps.mjs',
  curl: 'Paste it into a terminal.',
};

/** A program that does everything up to a step. It works as it is. */
export function codeOf(language: Language, step: Step, context: CodeContext): string {
  const reached = steps.indexOf(step);
  const parts = programs[language](context);
  // Commands stand for themselves; programs grow with the steps.
  if (language === 'curl') return parts[step];
  return steps
    .slice(0, reached + 1)
    .map((one) => parts[one])
    .filter((part) => part !== '')
    .join('\n\n');
}

type Program = Readonly<Record<Step, string>>;

const programs: Readonly<Record<Language, (context: CodeContext) => Program>> = {
  socketio: ({ url, token, topic, text }) => ({
    connect: `import { io } from 'socket.io-client';

const token = ${quoted(token)};
const socket = io(${quoted(url)}, { auth: { token } });

socket.on('status', (status) => console.log('status', status));
socket.on('connect_error', (error) => console.error(error.message));
socket.on('disconnect', (reason) => console.log('disconnected:', reason));`,
    subscribe: `let last;
socket.on('message', ({ epoch, sequence, payload }) => {
  last = { epoch, sequence };
  console.log('message', sequence, payload);
});

// Comes with each connection. With \`since\`, what was missed comes first.
socket.on('connect', () =>
  socket
    .timeout(5000)
    .emitWithAck('subscribe', { topics: [${quoted(topic)}], since: last && { [${quoted(topic)}]: last } })
    .then((answer) => console.log('subscribed', answer), console.error),
);`,
    publish: `socket.once('connect', () =>
  socket
    .timeout(5000)
    .emitWithAck('publish', { topic: ${quoted(topic)}, payload: ${quoted(text)} })
    .then((answer) => console.log('published', answer), console.error),
);`,
    cut: `// socket.io-client reconnects by itself.
setTimeout(() => socket.io.engine.close(), 1000);`,
    away: `socket.on('disconnect', ${publishByHttp(url, topic)});`,
  }),
  client: ({ url, token, topic, text }) => ({
    connect: `import { createClient } from 'realtime-communication/client';

const token = ${quoted(token)};
const client = createClient({ url: ${quoted(url)}, token });

client.on('status', (status) => console.log('status', status));
client.on('error', (error) => console.error(error.code, error.message));
client.on('disconnect', (reason) => console.log('disconnected:', reason));
client.connect();`,
    subscribe: `// After a reconnection it goes on where it was, by itself.
const topic = client.topic(${quoted(topic)});
topic.subscribe().on('message', ({ sequence, payload }) => console.log('message', sequence, payload));`,
    publish: `topic.publish(${quoted(text)}).then((receipt) => console.log('published', receipt), console.error);`,
    cut: `setTimeout(() => client.disconnect(), 1000);
setTimeout(() => client.connect(), 3000);`,
    away: `setTimeout(${publishByHttp(url, topic)}, 2000);`,
  }),
  ws: ({ url, token, topic, text }) => ({
    connect: `import WebSocket from 'ws'; // a browser has it, Node from version 22 on

const token = ${quoted(token)};
let socket;
function connect() {
  socket = new WebSocket(${quoted(`${url.replace(/^http/, 'ws')}/ws`)}, ['rtc', \`rtc.token.\${token}\`]);
  socket.on('message', (text) => received(JSON.parse(text)));
  socket.on('error', (error) => console.error(error.message));
  socket.on('close', (code) => {
    console.log('closed:', code);
    setTimeout(connect, 2000);
  });
}
const send = (type, data, id) => socket.send(JSON.stringify({ type, data, id }));
const handlers = {};
function received({ type, data }) {
  console.log(type, JSON.stringify(data));
  handlers[type]?.(data);
}
connect();`,
    subscribe: `let last;
handlers.Broadcast = ({ epoch, sequence }) => (last = { epoch, sequence });
handlers.Status = ({ status }) => {
  // Comes with each connection. With \`since\`, what was missed comes first.
  if (status === 'connected')
    send('Subscribe', { topics: [${quoted(topic)}], since: last && { [${quoted(topic)}]: last } });
  if (status === 'subscribed') subscribed();
};
let subscribed = () => {};`,
    publish: `subscribed = () => {
  send('Broadcast', { topic: ${quoted(topic)}, payload: ${quoted(text)} }, 'first');
  subscribed = () => {};
};`,
    cut: `setTimeout(() => socket.terminate(), 1000);`,
    away: `setTimeout(${publishByHttp(url, topic)}, 2000);`,
  }),
  curl: ({ url, token, topic, text, last }) => {
    const bearer = `-H ${inShell(`Authorization: Bearer ${token}`)}`;
    const history = `${url}/api/history?topic=${encodeURIComponent(topic)}`;
    const publish = (payload: string) =>
      `curl -sS -X POST ${inShell(`${url}/api/publish`)} ${bearer} \\
  -d ${inShell(JSON.stringify({ topic, payload }))}`;
    const since =
      last === undefined ? '&limit=10' : `&epoch=${encodeURIComponent(last.epoch)}&sequence=${last.sequence}`;
    return {
      connect: `# HTTP needs no connection. How is the service?
curl -sS ${inShell(`${url}/health`)}`,
      subscribe: `# Nothing is sent to curl. It reads what is stored: the latest ten messages.
curl -sS ${inShell(`${history}&limit=10`)} ${bearer}`,
      publish: publish(text),
      cut: `# There is no connection to cut. This is the last message: its epoch and sequence are the position.
curl -sS ${inShell(`${history}&limit=1`)} ${bearer}`,
      away: `# A back end publishes while a client is away.
${publish(missedText)}
# ${last === undefined ? 'The latest messages.' : 'What came after the position that this page is at.'}
curl -sS ${inShell(`${history}${since}`)} ${bearer}`,
    };
  },
};

const missedText = 'published while I was away';

function publishByHttp(url: string, topic: string): string {
  return `() =>
  fetch(${quoted(`${url}/api/publish`)}, {
    method: 'POST',
    headers: { authorization: \`Bearer \${token}\` },
    body: JSON.stringify({ topic: ${quoted(topic)}, payload: ${quoted(missedText)} }),
  }).catch(console.error)`;
}

/** A text in JavaScript. */
function quoted(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")}'`;
}

/** One word of a command line. */
function inShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
