import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { ClientConnection } from '../../../server/gateway/client-connection.js';
import { ReadThrottle } from '../../../server/gateway/read-throttle.js';
import { FakeClock } from '../../support/fake-clock.js';
import { until } from '../../support/wait.js';

/** A connection on a TCP socket, with the properties that the throttle uses. */
const connectionOn = (tcp: Socket): ClientConnection =>
  ({
    lastPublishedAt: -Infinity,
    socket: { conn: { transport: { socket: { _socket: tcp } } } },
  }) as unknown as ClientConnection;

describe('[HOT] reading from busy publishers', () => {
  let server: Server;
  let client: Socket;
  let tcp: Socket;
  let heard = '';
  let clock: FakeClock;
  let pace: ReadThrottle;
  const inMs = (ms: number) => clock.now() + ms;
  /** Lets the event loop read what has arrived, unless it is stopped. */
  const turns = async () => {
    for (let n = 0; n < 50; n++) await turn();
  };
  const sendWhole = (text: string) => new Promise<void>((resolve) => client.write(text, () => resolve()));

  beforeEach(async () => {
    heard = '';
    clock = new FakeClock();
    pace = new ReadThrottle({ clock });
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    tcp = await accepted;
    for (const end of [client, tcp]) end.on('error', () => {});
    tcp.on('data', (data) => (heard += data.toString()));
    await sendWhole('a');
    await until(() => heard === 'a', 'it is read');
  });
  afterEach(() => {
    client.destroy();
    tcp.destroy();
    server.close();
  });

  it('stops until the append, and then has read all', async () => {
    const connection = connectionOn(tcp);
    pace.published(connection, inMs(20));
    await sendWhole('b');
    await until(() => heard === 'ab', 'a first publish delays nothing');
    pace.published(connection, inMs(20));
    for (const text of ['c', 'd', 'e']) await sendWhole(text);
    await clock.advance(17);
    await turns();
    assert.equal(heard, 'ab');
    // A little before the append, so that it includes what has arrived.
    await clock.advance(1);
    await until(() => heard === 'abcde', 'all is read', 1000);
  });

  it('never stops for long, and not at all if the append runs at once', async () => {
    const connection = connectionOn(tcp);
    for (const appendAt of [0, inMs(2), inMs(60_000)]) {
      heard = '';
      pace.published(connection, appendAt);
      pace.published(connection, appendAt);
      await sendWhole('x');
      await clock.advance(appendAt === 0 || appendAt < inMs(3) ? 0 : 25);
      await until(() => heard === 'x', 'it is read', 1000);
    }
  });

  it('does not change a socket that is paused by other code, or closed', async () => {
    const connection = connectionOn(tcp);
    pace.published(connection, 0);
    pace.published(connection, inMs(20));
    (tcp as unknown as { _handle: { reading: boolean } })._handle.reading = false;
    await sendWhole('y');
    await clock.advance(40);
    await turns();
    assert.equal(heard, 'a');
    const other = new ReadThrottle({ clock });
    tcp.destroy();
    other.published(connection, 0);
    other.published(connection, inMs(20));
    pace.published({ ...connection, socket: { conn: { transport: {} } } } as never, inMs(20));
  });
});
