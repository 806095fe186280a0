import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import express, { type Response } from 'express';
import { BoundedResponses } from '../../../server/http/bounded-responses.js';
import { AnswerBudget } from '../../../server/limits/answer-budget.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import { StoredJson } from '../../../server/protocol/exact-json.js';
import { until } from '../../support/wait.js';

describe('[API] a large answer over HTTP', () => {
  const body = Buffer.from(`"payload":"${'ä'.repeat(400_000)}"`);
  const content = `{"ok":true,"messages":[{"sequence":1,${body.toString()}}]}`;
  let written: unknown[];
  let sent: number;
  let budget: AnswerBudget;
  let server: Server;
  let client: Socket;
  let received: string;

  beforeEach(async () => {
    written = [];
    sent = 0;
    received = '';
    budget = new AnswerBudget({ clock: systemClock, log: silentLog }, { totalBytes: 100_000_000 });
    const responses = new BoundedResponses(budget, { answerBytes: 1_000_000, timeoutMs: 60_000 });
    const program = express();
    program.get('/', async (_request, response: Response) => {
      const hold = (await responses.acquire(response, 'ann'))!;
      const write = response.write.bind(response) as (chunk: unknown) => boolean;
      Object.assign(response, { write: (chunk: unknown) => (written.push(chunk), write(chunk)) });
      responses.send(response, hold, { ok: true, messages: [new StoredJson('{"sequence":1,', body)] });
      sent++;
    });
    server = program.listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.setEncoding('utf8').on('data', (text: string) => (received += text));
    client.on('error', () => {});
  });
  afterEach(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
    budget.close();
  });

  const ask = (method: string, headers = '') =>
    client.write(`${method} / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);

  it('has the messages of the log themselves, not copies of them', async () => {
    ask('GET');
    await until(() => received.endsWith(content), 'it is whole');
    assert.ok(written.includes(body));
    await until(() => budget.bytes === 0, 'its room is returned');
  });

  it('is whole each time on one connection, which goes on, also if it is asked for before it is read', async () => {
    for (let n = 0; n < 3; n++) ask('GET');
    await until(() => received.split(content).length === 4, 'all are there');
    const [first, second] = received.split(content) as [string, string];
    assert.match(first, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(second, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(first, new RegExp(`\r\nContent-Length: ${Buffer.byteLength(content)}\r\n`));
    await until(() => budget.bytes === 0, 'their room is returned');
  });

  it('has no body for HEAD, nor for a client that has it, and both return their room', async () => {
    ask('HEAD');
    await until(() => received.endsWith('\r\n\r\n'), 'it is answered');
    const etag = /\r\nETag: (W\/"[^"]+")\r\n/.exec(received)![1]!;
    received = '';
    ask('GET', `If-None-Match: ${etag}\r\n`);
    await until(() => received.endsWith('\r\n\r\n'), 'it is answered again');
    assert.match(received, /^HTTP\/1\.1 304 Not Modified\r\n/);
    received = '';
    ask('GET', 'If-None-Match: W/"other"\r\n');
    await until(() => received.endsWith(content), 'it is whole where it has changed');
    await until(() => budget.bytes === 0, 'their room is returned');
  });

  it('keeps its room until its client has taken it, and returns it when the client is gone', async () => {
    client.pause();
    // More than the buffers of the kernel hold.
    for (let n = 0; n < 20; n++) ask('GET');
    await until(() => sent === 20, 'all are sent');
    assert.ok(budget.bytes > 5 * body.length);
    client.destroy();
    await until(() => budget.bytes === 0, 'their room is returned');
  });
});
