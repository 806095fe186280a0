// What both programs do with what they have imported.
const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');

const secret = 'a secret for tests';

function token(claims) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

exports.run = async ({ loadSettings, RefusalError, Service, io }) => {
  const environment = { JWT_SECRET: secret, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'warn' };
  const service = new Service(loadSettings(environment), {
    hooks: {
      onPublish({ payload }) {
        if (payload.forbidden) throw new RefusalError('invalid_payload', 'no');
      },
    },
  });
  const port = await service.start();
  const exp = Math.floor(Date.now() / 1000) + 600;
  const auth = { token: token({ sub: 'ann', roles: ['user'], exp }) };
  const socket = io(`http://127.0.0.1:${port}`, { auth });
  const arrived = new Promise((resolve) => socket.on('message', resolve));
  assert.equal((await socket.emitWithAck('subscribe', { topics: ['news'] })).ok, true);
  const refused = await socket.emitWithAck('publish', { topic: 'news', payload: { forbidden: true } });
  assert.equal(refused.error.code, 'invalid_payload');
  assert.equal((await socket.emitWithAck('publish', { topic: 'news', payload: { hi: 1 } })).ok, true);
  console.log(`got ${JSON.stringify((await arrived).payload)}`);
  socket.disconnect();
  await service.close();
};
