import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Started = Awaited<ReturnType<typeof startEmbedded>>;
type Topic = Record<string, unknown> & { epoch: string; sequence: number };

describe('[P2] recovered and missed', () => {
  let started: Started;
  const sockets: { close(): unknown }[] = [];

  before(async () => {
    started = await startEmbedded();
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
  });
  after(() => started.service.close());

  const connect = async (auth: object = {}) => {
    const socket = await connectClient(started.url, 'ann', { auth });
    sockets.push(socket);
    return socket;
  };
  const subscribe = async (socket: Socket, topic: string, since?: object): Promise<Topic> => {
    const answer = await emit(socket, 'subscribe', { topics: [topic], ...(since && { since }) });
    return (answer['topics'] as Topic[])[0]!;
  };
  const fields = (one: object) => Object.keys(one).sort();
  const place = ['epoch', 'sequence', 'topic'];
  const placeAndRecovery = ['epoch', 'missed', 'recovered', 'sequence', 'topic'];

  it('are left out of the answer of subscribe without since, the first time and again', async () => {
    const socket = await connect();
    const first = await subscribe(socket, 'plain');
    assert.deepEqual(fields(first), place);
    assert.deepEqual(fields(await subscribe(socket, 'plain')), place);
    const { epoch, sequence } = first;
    const again = await subscribe(socket, 'plain', { plain: { epoch, sequence } });
    assert.deepEqual([again['recovered'], again['missed']], [true, 0]);
    const lost = await subscribe(socket, 'plain', { plain: { epoch: 'gone', sequence: 5 } });
    assert.deepEqual([lost['recovered'], fields(lost)], [false, placeAndRecovery]);
  });

  it('are left out of the first status where no session was to be resumed', async () => {
    for (const auth of [{}, { session_id: null }, { session_id: '' }]) {
      const { status } = await connect(auth);
      assert.equal('recovered' in status, false);
    }
    const { status } = await connect({ token: tokenOf('ann', { topics: ['of.token'] }) });
    assert.equal('recovered' in status, false);
    assert.deepEqual((status['topics'] as Topic[]).map(fields), [place]);
  });

  it('are in the first status where a session was to be resumed', async () => {
    const first = await connect();
    await subscribe(first, 'kept');
    const sessionId = first.status['session_id'];
    first.close();
    let status: Record<string, unknown> = {};
    await until(async () => {
      ({ status } = await connect({ session_id: sessionId }));
      return status['recovered'] === true && (status['topics'] as Topic[]).length === 1;
    }, 'the session is resumed');
    assert.deepEqual((status['topics'] as Topic[]).map(fields), [placeAndRecovery]);
    for (const unknown of ['not-a-session', 'x'.repeat(500), 5])
      assert.equal((await connect({ session_id: unknown })).status['recovered'], false);
  });

  it('are the same in the frames of /ws', async () => {
    const client = new JsonClient(started.webSocketUrl, 'ann');
    sockets.push(client);
    await until(() => client.of('Status').length === 1, 'it is connected');
    client.send({ type: 'Subscribe', data: { topics: ['frames'] } });
    client.send({
      type: 'Subscribe',
      data: { topics: ['frames'], since: { frames: { epoch: 'gone', sequence: 1 } } },
    });
    await until(() => client.of('Status').length === 3, 'both are answered');
    const [connected, plain, since] = client
      .of('Status')
      .map((frame) => frame.data['details'] as { positions: Topic[] });
    assert.equal('recovered' in connected!, false);
    assert.deepEqual(
      [plain, since].map((details) => details!.positions.map(fields)),
      [[place], [placeAndRecovery]],
    );
  });

  it('say of an id in the URL of /ws that it is unknown, and nothing of one that is none', async () => {
    const recoveredWith = async (id: string) => {
      const client = new JsonClient(started.webSocketUrl, 'ann', `&session_id=${id}`);
      sockets.push(client);
      await until(() => client.of('Status').length === 1, 'it is connected');
      return (client.of('Status')[0]!.data['details'] as Topic)['recovered'];
    };
    assert.equal(await recoveredWith('none'), false);
    // As programs write it that have none yet.
    for (const none of ['null', 'undefined', '']) assert.equal(await recoveredWith(none), undefined);
  });
});
