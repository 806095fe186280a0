// The service inside a program, with hooks: JWT_SECRET=… PORT=8081 node examples/embedded.mjs
import { loadSettings, RefusalError, Service } from 'realtime-communication';

const service = new Service(loadSettings(process.env), {
  hooks: {
    /** Every message of `orders` has an amount. */
    onPublish({ topic, payload }) {
      if (topic === 'orders' && typeof payload?.amount !== 'number')
        throw new RefusalError('invalid_payload', 'an order has an amount', { field: 'payload.amount' });
      return { payload };
    },
  },
});
service.app.get('/hello', (request, response) => response.json({ hello: 'world' }));

const port = await service.start();
console.log(`listening on ${port}`);
process.once('SIGTERM', () => service.close());
