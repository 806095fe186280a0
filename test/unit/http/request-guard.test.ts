import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasGone } from '../../../server/gateway/engine-internals/accepted-connections.js';
import { holdReading, startReading } from '../../../server/gateway/engine-internals/reading.js';
import { countPieces, takeNothingMore } from '../../../server/gateway/engine-internals/request-parser.js';
import { RefusalError } from '../../../shared/errors.js';
import { guardRequests } from '../../../server/http/request-guard.js';
import { TcpClient } from '../../support/tcp-client.js';
import { until } from '../../support/wait.js';

describe('[LIMITS] requests on one connection', () => {
  let http: Server;
  let client: TcpClient;
  /** Requests that have arrived, and those that a route handles. */
  let arrived: string[];
  let handled: { readonly url: string; readonly response: ServerResponse }[];
  /** Requests whose turn has not come, where turns do not come by themselves. */
  let waiting: (() => void)[] | undefined;
  let socket: Socket;
  /** When connections were closed because of their bodies. */
  let cuts: number[];
  const connections = { isPressed: false };
  /** Whether there is room for what comes of a body after the answer. */
  let hasRoom: boolean;
  /** The sizes that were counted of bodies that no route reads. */
  let counted: number[];
  /** How many accounts of bodies have ended. */
  let discarded: number;
  /** Whether the caller is over its share, and how often that was asked. */
  let share: { isOver: boolean; asked: number };
  /** Whether requests come through a proxy. */
  let isForwarded: boolean;
  const urls = () => handled.map(({ url }) => url);

  beforeEach(async () => {
    arrived = [];
    handled = [];
    waiting = undefined;
    cuts = [];
    connections.isPressed = false;
    hasRoom = true;
    counted = [];
    discarded = 0;
    share = { isOver: false, asked: 0 };
    isForwarded = false;
    http = createServer((request: IncomingMessage, response) => {
      handled.push({ url: request.url!, response });
    });
    guardRequests(
      http,
      {
        countPieces,
        takeNothingMore,
        cut: (late) => {
          cuts.push(performance.now());
          late.destroy();
        },
        turns: {
          run: (_caller, _socket, work) => {
            if (waiting === undefined) work();
            else waiting.push(work);
            return true;
          },
        },
        reading: { hold: holdReading, start: startReading, hasGone },
        connections,
        bodies: {
          open: () => ({
            add: (bytes) => {
              counted.push(bytes);
              if (!hasRoom) throw new RefusalError('at_capacity', 'too many');
            },
            release() {},
            discard: () => discarded++,
          }),
          isOver: () => {
            share.asked++;
            return share.isOver;
          },
        },
        callerOf: () => 'ann',
        isForwarded: () => isForwarded,
      },
      { bodyTimeoutMs: 10_000, isTimed: () => true, isCounted: () => true },
    );
    http.prependListener('request', ({ url }: IncomingMessage) => arrived.push(url!));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const accepted = once(http, 'connection') as Promise<[Socket]>;
    client = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    [socket] = await accepted;
  });
  afterEach(async () => {
    client.reset();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });

  const send = (...paths: readonly string[]) =>
    client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));

  it('are handled one at a time: no answer waits in memory behind one that is not read', async () => {
    send('/1', '/2', '/3');
    await until(() => arrived.length === 3, 'all have arrived');
    assert.deepEqual(urls(), ['/1']);
    handled[0]!.response.end('one');
    await until(() => handled.length === 2, 'the second is handled');
    handled[1]!.response.end('two');
    await until(() => handled.length === 3, 'the third is handled');
    handled[2]!.response.end('three');
    await until(() => client.received.includes('three'), 'all are answered');
    assert.match(client.received, /one[^]*two[^]*three/);
    send('/4');
    await until(() => handled.length === 4, 'a later one is handled');
  });

  it('are a thousand of one caller at most that wait behind others: a connection with more is closed, and closed ones do not count', async () => {
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const clients: TcpClient[] = [];
    const open = async (requests: number) => {
      const before = arrived.length;
      const opened = new TcpClient(url);
      clients.push(opened);
      opened.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(requests));
      await until(() => arrived.length === before + requests, 'they have arrived');
      return opened;
    };
    const isClosed = ({ closed, ended }: TcpClient) => closed || ended;
    const assertFull = async () => {
      const refused = await open(2);
      await until(() => isClosed(refused), 'a connection with one that would wait is closed');
      clients.pop();
    };
    try {
      // One is handled of each, and ten wait.
      for (let n = 0; n < 100; n++) await open(11);
      await assertFull();
      await open(1);
      handled[0]!.response.end('one');
      await until(() => clients[0]!.received.includes('one'), 'it is answered, and the next one is handled');
      await open(2);
      await assertFull();
      clients[1]!.reset();
      await until(() => handled[1]!.response.destroyed, 'the service knows that it has gone');
      await open(11);
      await assertFull();
      assert.deepEqual(
        clients.flatMap((one, n) => (isClosed(one) ? [n] : [])),
        [1],
        'no other one is closed',
      );
    } finally {
      for (const opened of clients) opened.reset();
    }
  });

  /** Runs a test that sees the timers of so many milliseconds that are set and have not been stopped. */
  const withTimers = async (ms: number, run: (held: ReadonlySet<unknown>) => Promise<void>) => {
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const held = new Set<unknown>();
    const start = (work: () => void, afterMs: number) => {
      const timer = set(work, afterMs);
      if (afterMs === ms) held.add(timer);
      return timer;
    };
    const stop = (timer: NodeJS.Timeout | undefined) => {
      held.delete(timer);
      clear(timer);
    };
    Object.assign(globalThis, { setTimeout: start, clearTimeout: stop });
    try {
      await run(held);
    } finally {
      Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    }
  };

  it('are held by no timer when they were answered before their body had arrived', () =>
    withTimers(10_000, async (held) => {
      client.post('/1', 900_000, 'a'.repeat(1000));
      await until(() => handled.length === 1, 'it is handled');
      assert.equal(held.size, 1);
      handled[0]!.response.end('one');
      await until(() => client.closed || client.ended, 'its connection is closed');
      assert.equal(held.size, 0);
    }));

  it('are held by nothing once they were answered and their client has gone before the end of their body', () =>
    withTimers(1000, async (held) => {
      client.post('/1', 900_000, 'a'.repeat(1000));
      await until(() => handled.length === 1, 'it is handled');
      handled[0]!.response.end('one');
      await until(() => held.size === 1, 'the rest of its body is awaited');
      client.reset();
      await until(() => socket.destroyed, 'the service knows that it has gone');
      await until(() => held.size === 0, 'it is not awaited any more');
    }));

  it('leave no listener on a connection whose bodies come to their end after the answers', async () => {
    const listeners: number[] = [];
    for (let n = 0; n < 5; n++) {
      client.post('/1', 2000, 'a'.repeat(1000));
      await until(() => handled.length === n + 1, 'it is handled');
      listeners.push(socket.listenerCount('close'));
      handled[n]!.response.end(`answer ${n}`);
      await until(() => client.received.includes(`answer ${n}`), 'it is answered');
      client.write('a'.repeat(1000));
    }
    assert.deepEqual(listeners, Array(5).fill(listeners[0]));
  });

  it('are not handled if their body was refused while they waited', async () => {
    send('/1');
    client.write('POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.write('1\r\na\r\n'.repeat(600));
    await until(() => arrived.length === 2, 'both have arrived');
    await until(() => client.ended || client.closed || handled.length > 0, 'the first is handled');
    handled[0]!.response.end('one');
    await until(() => client.ended || client.closed, 'the connection is closed');
    assert.match(client.received, /one[^]*HTTP\/1\.1 413 [^]*may come in \d+ pieces/);
    assert.deepEqual(urls(), ['/1']);
  });

  it('are not read further before their turn has come', async () => {
    waiting = [];
    client.write('POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    await until(() => waiting!.length === 1, 'it waits');
    client.write('1\r\na\r\n'.repeat(600));
    // Another connection is read meanwhile.
    const other = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    other.get('/2');
    await until(() => waiting!.length === 2, 'another one waits');
    other.reset();
    waiting[0]!();
    assert.deepEqual(urls(), ['/1']);
    await until(() => client.received.includes(' pieces'), 'its body is read, and refused');
  });

  it('are not handled if their client resets the connection before their turn has come', async () => {
    waiting = [];
    client.post('/1', 1000, 'a');
    await until(() => waiting!.length === 1, 'it waits');
    client.reset();
    await until(() => hasGone(socket), 'the client has gone');
    assert.equal(socket.destroyed, false);
    waiting[0]!();
    assert.deepEqual([urls(), socket.destroyed], [[], true]);
  });

  /** Answers a request while new connections come, when 1,000 bytes of its body have come. */
  const answerBeforeBody = async (length: number) => {
    connections.isPressed = true;
    client.post('/1', length, 'a'.repeat(1000));
    await until(() => handled.length === 1, 'it is handled');
    handled[0]!.response.end('one');
    await until(() => client.received.includes('one'), 'it is answered');
  };

  it('are not read further when they are answered, while new connections come turn after turn', async () => {
    await answerBeforeBody(900_000);
    client.write('a'.repeat(500_000));
    await until(() => client.closed || client.ended, 'its connection is closed');
    assert.ok(socket.bytesRead < 2000, `${socket.bytesRead}`);
  });

  it('are not read further when they are answered, while new connections come turn after turn, also where Node had stopped by itself', async () => {
    connections.isPressed = true;
    client.post('/1', 900_000, 'a'.repeat(900_000));
    await until(() => handled.length === 1 && socket.bytesRead > 60_000, 'its beginning has come');
    handled[0]!.response.end('one');
    await until(() => client.closed || client.ended, 'its connection is closed');
    assert.ok(socket.bytesRead <= 4 * 65_536, `${socket.bytesRead}`);
  });

  it('are awaited after the answer for a second, and a hundred of a caller at most', async () => {
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const clients = Array.from({ length: 110 }, () => new TcpClient(url));
    try {
      for (const one of clients) one.post('/late', 2, '{');
      await until(() => handled.length === 110, 'all are handled');
      const answeredAt = performance.now();
      for (const { response } of handled) response.end('answer');
      const isClosed = ({ ended, closed }: TcpClient) => ended || closed;
      await until(() => clients.every(isClosed), 'all are closed');
      assert.equal(cuts.length, 110);
      assert.equal(cuts.filter((at) => at - answeredAt < 900).length, 10, 'ten at once');
      for (const { received } of clients) assert.match(received, /^HTTP\/1\.1 200 [^]*answer/);
      client.post('/late', 2, '{');
      await until(() => handled.length === 111, 'it is handled');
      handled[110]!.response.end('answer');
      await until(() => client.received !== '', 'it is answered');
      client.write('}');
      send('/next');
      await until(() => handled.length === 112, 'one that comes in time closes nothing');
    } finally {
      for (const one of clients) one.reset();
    }
  });

  it('are awaited no longer than a second where a route has read a part of their body, and paused', async () => {
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    http.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.url !== '/part') return;
      request.once('data', () => {
        request.pause();
        response.end('part');
      });
    });
    const clients = Array.from({ length: 100 }, () => new TcpClient(url));
    try {
      for (const one of clients) one.post('/part', 5000, '{');
      await until(() => clients.every(({ received }) => received.includes('part')), 'all are answered');
      const answeredAt = performance.now();
      for (const one of clients) one.write('}'.repeat(4999));
      await until(() => performance.now() - answeredAt > 1100, 'a second passes');
      assert.deepEqual([counted.length > 0, discarded], [true, 100]);
      client.post('/late', 2, '{');
      await until(() => handled.length === 101, 'one more is handled');
      handled[100]!.response.end('answer');
      await until(() => client.received.includes('answer'), 'it is answered');
      client.write('}');
      send('/next');
      await until(() => handled.length === 102, 'it was awaited');
      assert.deepEqual(cuts, []);
    } finally {
      for (const one of clients) one.reset();
    }
  });

  it('leave their connection for the next request, if their bodies come to their end when there is no room for what comes after the answer', async () => {
    http.prependListener('request', (_request: IncomingMessage, response: ServerResponse) =>
      response.end('early'),
    );
    hasRoom = false;
    const whole = 'whole'.repeat(1000);
    const post = (body: string) =>
      `POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: ${whole.length}\r\n\r\n${body}`;
    for (let n = 1; n <= 3; n++) {
      // In one piece with its head, and after the answer.
      client.write(post(whole));
      await until(() => arrived.length === 2 * n - 1, 'the request has arrived');
      client.write(post(''));
      await until(() => client.received.split('early').length === 2 * n + 1, 'it is answered');
      client.write(whole);
    }
    client.write(post('half'));
    await until(() => arrived.length === 7, 'the next one has arrived');
    const answeredAt = performance.now();
    await until(() => client.ended || client.closed, 'one without its end closes the connection');
    assert.equal(cuts.length, 1);
    assert.ok(cuts[0]! - answeredAt > 900, 'the client has had time to read the answer');
  });

  it('keep their connection from being read while their caller is over its share of what comes after answers', async () => {
    http.prependListener('request', (_request: IncomingMessage, response: ServerResponse) =>
      response.end('early'),
    );
    hasRoom = false;
    share.isOver = true;
    client.post('/early', 5000, '');
    await until(() => client.received.includes('early'), 'it is answered');
    client.write('whole'.repeat(1000));
    await until(() => share.asked === 1, 'its share is looked at');
    send('/2');
    await until(() => share.asked === 3, 'its share is looked at again');
    assert.equal(arrived.length, 1);
    share.isOver = false;
    await until(() => arrived.length === 2, 'the next one has arrived');
  });

  it('count with what had come of their bodies before they were answered, unless a route has read it', async () => {
    client.post('/refused', 5000, 'a'.repeat(5000));
    await until(() => handled.length === 1, 'it is handled');
    handled[0]!.response.end('one');
    await until(() => counted.length > 0, 'its body is counted');
    assert.deepEqual(counted, [5000]);
    http.prependOnceListener('request', (request: IncomingMessage, response: ServerResponse) => {
      // As a route does that looks at the token first.
      setImmediate(() => request.resume().once('end', () => response.end('two')));
    });
    client.post('/read', 5000, 'a'.repeat(5000));
    await until(() => client.received.includes('two'), 'it is read and answered');
    assert.deepEqual(counted, [5000]);
  });

  it('leave their connection for the next request at once where there is no room, if less than 4 KiB of a body is announced', async () => {
    hasRoom = false;
    share.isOver = true;
    for (const [n, early] of [0, 2000, 4095].entries()) {
      client.post('/refused', 4095, 'a'.repeat(early));
      await until(() => handled.length === n + 1, 'it is handled');
      handled[n]!.response.end(`answer ${n}`);
      await until(() => client.received.includes(`answer ${n}`), 'it is answered');
      client.write('a'.repeat(4095 - early));
    }
    assert.deepEqual([counted, share.asked, cuts], [[], 0, []]);
  });

  it('are read no further when they are answered and there is no room, also where Node had stopped by itself, and begins to throw away a body', async () => {
    hasRoom = false;
    share.isOver = true;
    client.post('/1', 900_000, 'a'.repeat(900_000));
    await until(() => handled.length === 1 && socket.bytesRead > 60_000, 'its beginning has come');
    handled[0]!.response.end('one');
    await until(() => share.asked === 12, 'more than a second passes');
    assert.ok(socket.bytesRead <= 4 * 65_536, `${socket.bytesRead}`);
    hasRoom = true;
    share.isOver = false;
    send('/2');
    await until(() => handled.length === 2, 'the rest is read, and the next one is handled');
  });

  it('are closed a second after the answer when too much has come of a body, also where that was its end', async () => {
    const bytes = 4 * 2 ** 20 + 1;
    client.post('/1', bytes, 'a'.repeat(1000));
    await until(() => handled.length === 1, 'it is handled');
    handled[0]!.response.end('one');
    await until(() => client.received.includes('one'), 'it is answered');
    const answeredAt = performance.now();
    client.write('a'.repeat(bytes - 1000));
    send('/2');
    await until(() => socket.destroyed, 'its connection is closed');
    assert.equal(cuts.length, 1);
    assert.ok(cuts[0]! - answeredAt > 900, 'the client has had time to read the answer');
    assert.deepEqual(urls(), ['/1']);
  });

  it('are read no further when they are answered, there is no room and too much is announced, also where Node had stopped by itself', async () => {
    hasRoom = false;
    share.isOver = true;
    client.post('/1', 5_000_000, 'a'.repeat(5_000_000));
    await until(() => handled.length === 1 && socket.bytesRead > 60_000, 'its beginning has come');
    handled[0]!.response.end('one');
    await until(() => socket.destroyed, 'its connection is closed');
    assert.ok(socket.bytesRead <= 4 * 65_536, `${socket.bytesRead}`);
    assert.equal(cuts.length, 1);
  });

  it('are read no further while there is no room for one of them, also where there was room for an earlier one a moment ago', async () => {
    hasRoom = false;
    // There is room at the third look only: at that of one of the two requests.
    Object.defineProperty(share, 'isOver', { get: () => share.asked !== 3 });
    client.post('/1', 5000, 'a'.repeat(5000));
    client.post('/2', 3_000_000, 'a'.repeat(1000));
    await until(() => handled.length === 1, 'the first is handled');
    handled[0]!.response.end('one');
    await until(() => handled.length === 2, 'the second is handled');
    handled[1]!.response.end('two');
    await until(() => client.received.includes('two'), 'both are answered');
    client.write('a'.repeat(2_999_000));
    await until(() => share.asked > 10, 'a while passes');
    assert.ok(socket.bytesRead <= 4 * 65_536, `${socket.bytesRead}`);
  });

  it('count no piece of a body again that is dropped because there is no room', async () => {
    hasRoom = false;
    share.isOver = true;
    client.write('POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    await until(() => handled.length === 1, 'it is handled');
    handled[0]!.response.end('one');
    await until(() => client.received.includes('one'), 'it is answered');
    client.write('1\r\na\r\n'.repeat(400));
    await until(() => share.asked === 2, 'its share is looked at');
    assert.deepEqual(counted, [1]);
    assert.equal(socket.destroyed, false);
    client.write('1\r\na\r\n'.repeat(400));
    share.isOver = false;
    await until(() => socket.destroyed, 'it is closed for its pieces');
  });

  describe('where there is no room', () => {
    const { now } = performance;
    /** Milliseconds that the clock is ahead. */
    let aheadMs: number;

    beforeEach(() => {
      aheadMs = 0;
      performance.now = () => now.call(performance) + aheadMs;
    });
    afterEach(() => {
      performance.now = now;
    });

    it('are closed when there has been no room for ten seconds', async () => {
      await answerWithoutRoom(5000);
      aheadMs = 10_000;
      await until(() => client.ended, 'it is closed');
      assert.equal(cuts.length, 0, 'its client has sent all');
    });

    it('are closed when they have waited for room for ten seconds, also where it comes and goes', async () => {
      await answerWithoutRoom(900_000);
      aheadMs = 6000;
      share.isOver = false;
      await until(() => counted.length === 2, 'it is read on');
      share.isOver = true;
      const { asked } = share;
      await until(() => share.asked >= asked + 2, 'it waits again');
      assert.equal(socket.destroyed, false);
      aheadMs = 10_000;
      await until(() => socket.destroyed, 'it is closed');
      assert.equal(cuts.length, 1);
    });
  });

  it('neither wait on a connection of a proxy nor close it: the next request may be of another client, and on its way', async () => {
    isForwarded = true;
    hasRoom = false;
    share.isOver = true;
    for (let n = 0; n < 3; n++) {
      client.post('/upload', 200_000, 'a'.repeat(5000));
      await until(() => handled.length === 2 * n + 1, 'it is handled');
      handled[2 * n]!.response.end(`refused ${n}`);
      await until(() => client.received.includes(`refused ${n}`), 'it is answered');
      client.write('a'.repeat(195_000));
      send('/next');
      await until(() => handled.length === 2 * n + 2, 'the next one is handled');
      handled[2 * n + 1]!.response.end(`next ${n}`);
      await until(() => client.received.includes(`next ${n}`), 'it is answered');
    }
    assert.deepEqual([cuts, share.asked, counted.length], [[], 0, 3]);
    client.post('/upload', 200_000, 'a'.repeat(5000));
    await until(() => handled.length === 7, 'it is handled');
    handled[6]!.response.end('refused');
    const answeredAt = performance.now();
    await until(() => client.ended || client.closed, 'one that does not come to its end is closed');
    assert.ok(cuts[0]! - answeredAt > 900, 'the client has had time to read the answer');
  });

  /** Answers a request whose body is not read, and waits until there has been no room for what has come of it. */
  const answerWithoutRoom = async (length: number) => {
    hasRoom = false;
    share.isOver = true;
    client.post('/1', length, 'a'.repeat(length));
    await until(() => handled.length === 1, 'it is handled');
    handled[0]!.response.end('one');
    await until(() => share.asked === 2, 'its share is looked at');
    assert.equal(socket.destroyed, false);
  };

  it('go on waiting for room while new connections come turn after turn', async () => {
    await answerWithoutRoom(5000);
    share.isOver = false;
    connections.isPressed = true;
    send('/2');
    const pressedAt = performance.now();
    await until(() => performance.now() - pressedAt > 300, 'it is looked at again');
    assert.equal(arrived.length, 1);
    connections.isPressed = false;
    await until(() => arrived.length === 2, 'the next one has arrived');
  });

  it('are two hundred of a caller at most that wait for room: the connections of more are closed with their answers, and what waits behind is not handled', async () => {
    const requests: IncomingMessage[] = [];
    http.prependListener('request', (request: IncomingMessage) => requests.push(request));
    hasRoom = false;
    share.isOver = true;
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const clients = Array.from({ length: 203 }, () => new TcpClient(url));
    try {
      for (const one of clients)
        one.post('/', 5000, `${'a'.repeat(5000)}GET /behind HTTP/1.1\r\nHost: x\r\n\r\n`);
      await until(
        () => handled.length === 203 && requests.length === 406 && requests.every(({ complete }) => complete),
        'all have come',
      );
      for (const { response } of handled) response.end('answer');
      await until(() => clients.every(({ received }) => received.includes('answer')), 'all are answered');
      await until(() => clients.filter(({ ended }) => ended).length === 3, 'three are closed');
      assert.equal(cuts.length, 0, 'their clients have sent all');
      assert.equal(urls().filter((url) => url === '/behind').length, 200);
    } finally {
      for (const one of clients) one.reset();
    }
  });

  it('are read to their end after the answer where a route reads them, in whatever way, and do not count', async () => {
    const read = async (body: AsyncIterable<Buffer>) => {
      let bytes = 0;
      for await (const piece of body) bytes += piece.length;
      return bytes;
    };
    const ways: Readonly<Record<string, (request: IncomingMessage) => Promise<number>>> = {
      iterator: read,
      pipe: (request) => read(request.pipe(new PassThrough())),
      pipeline: async (request) => {
        let bytes = 0;
        await pipeline(request, async (body: AsyncIterable<Buffer>) => {
          bytes = await read(body);
        });
        return bytes;
      },
    };
    for (const [name, way] of Object.entries(ways)) {
      let result: Promise<number> | undefined;
      http.prependOnceListener('request', (request: IncomingMessage, response: ServerResponse) => {
        result = way(request);
        response.end(`early ${name}`);
      });
      client.post(`/${name}`, 6_000_000, 'a'.repeat(100_000));
      await until(() => client.received.includes(`early ${name}`), 'it is answered');
      client.write('a'.repeat(5_900_000));
      assert.equal(await result, 6_000_000, name);
    }
    assert.deepEqual(counted, []);
    assert.equal(cuts.length, 0);
  });

  it('are read to their end when they are answered, once no new connections come any more', async () => {
    await answerBeforeBody(500_000);
    connections.isPressed = false;
    client.write('a'.repeat(499_000));
    send('/2');
    await until(() => handled.length === 2, 'the next one is handled');
    assert.deepEqual(urls(), ['/1', '/2']);
  });

  it('are not handled if their client goes away while they wait', async () => {
    send('/1', '/2');
    await until(() => arrived.length === 2, 'both have arrived');
    let isClosed = false;
    handled[0]!.response.once('close', () => (isClosed = true));
    client.reset();
    await until(() => isClosed, 'the connection is closed');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(urls(), ['/1']);
  });
});
