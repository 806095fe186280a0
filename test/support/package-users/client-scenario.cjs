// What the client's programs do, with what they have imported: prints what a subscriber gets.
const { createHmac } = require('node:crypto');
const { loadSettings, Service } = require('realtime-communication');

const secret = 'a secret for tests';

function tokenOf(sub) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { sub, roles: ['user'], exp: Math.floor(Date.now() / 1000) + 600 };
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

exports.run = async ({ createClient, ConnectionMonitor, createOutbox, savedState, sharedConnection }) => {
  const service = new Service(
    loadSettings({ JWT_SECRET: secret, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'warn' }),
  );
  const url = `http://127.0.0.1:${await service.start()}`;
  // In Node there are no tabs: the connection is the client's own. An outbox needs a browser only when it is used.
  createOutbox();
  const values = new Map();
  const state = savedState({
    store: {
      getItem: (key) => values.get(key),
      setItem: (key, value) => values.set(key, value),
      removeItem: (key) => values.delete(key),
    },
  });
  const client = createClient({ url, token: tokenOf('ann'), state, connection: sharedConnection() });
  const monitor = new ConnectionMonitor(client);
  const subscription = client.topic('news').subscribe();
  subscription.on('subscribed', () => client.topic('news').publish({ hi: 1 }));
  client.connect();
  for await (const { payload } of subscription) {
    console.log(`got ${JSON.stringify(payload)}`);
    break;
  }
  client.close();
  if (monitor.report().disconnects.count !== 1) throw new Error('the monitor has not seen the disconnect');
  if (!values.get('rtc_state')?.includes('"news":{')) throw new Error('the position is not saved');
  await service.close();
};
