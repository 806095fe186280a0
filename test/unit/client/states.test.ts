import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { ScriptedService } from '../../support/scripted-service.js';

describe('[CLIENT] the state of the connection, when listeners change it', () => {
  let service: ScriptedService;
  let told: string[];

  beforeEach(() => {
    service = new ScriptedService();
    told = [];
  });

  const note = () => {
    service.client.on('state', ({ state }) => told.push(state));
    for (const event of ['connect', 'disconnect', 'give_up', 'error'] as const)
      service.client.on(event, () => told.push(`event ${event}`));
  };

  it('ends with what is true when a listener of disconnect disconnects', async () => {
    service.client.on('disconnect', () => service.client.disconnect());
    note();
    await service.connect();
    told.length = 0;
    service.disconnect();
    assert.deepEqual(told, ['idle', 'event disconnect']);
    assert.equal(service.client.state.state, 'idle');
  });

  it('is told in order to every listener, also to those after the one that changes it', async () => {
    const remove = service.client.on('state', ({ state }) => {
      if (state !== 'connected') return;
      remove();
      service.client.disconnect();
    });
    note();
    await service.connect();
    assert.deepEqual(told, ['connecting', 'event disconnect', 'idle']);
  });

  it('is told as connected to nobody after a listener of connect has disconnected', async () => {
    service.client.on('connect', () => service.client.disconnect());
    note();
    await service.connect();
    assert.deepEqual(told, ['connecting', 'connected', 'event disconnect', 'idle']);
  });

  it('is told as given up to nobody after a listener has connected again, but the error is reported', async () => {
    service.client.on('state', ({ state }) => state === 'stopped' && service.client.connect());
    note();
    await service.connect();
    told.length = 0;
    service.disconnect({ state: 'stopped', error: new ClientError('give_up', 'no') });
    assert.deepEqual(told, ['event disconnect', 'connecting', 'event error']);
  });
});
