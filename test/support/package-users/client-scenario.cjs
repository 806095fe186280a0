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

exports.run = async (createClient) => {
  const service = new Service(
    loadSettings({ JWT_SECRET: secret, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'warn' }),
  );
  const url = `http://127.0.0.1:${await service.start()}`;
  const client = createClient({ url, token: tokenOf('ann') });
  const subscription = client.topic('news').subscribe();
  subscription.on('subscribed', () => client.topic('news').publish({ hi: 1 }));
  client.connect();
  for await (const { payload } of subscription) {
    console.log(`got ${JSON.stringify(payload)}`);
    break;
  }
  client.close();
  await service.close();
};
