import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';

/** What a WebSocket gets: its protocol and first message, or the status and error of the refusal. */
async function outcome(url: string, protocols: string[]) {
  const client = new WebSocket(url, protocols);
  try {
    return await new Promise<{ protocol?: string; first?: string; status?: number; body?: string }>(
      (resolve) => {
        client.on('error', () => {});
        client.once('message', (data: Buffer) =>
          resolve({ protocol: client.protocol, first: data.toString() }),
        );
        client.once('unexpected-response', (_request, response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('end', () => resolve({ status: response.statusCode!, body }));
        });
      },
    );
  } finally {
    client.terminate();
  }
}

describe('[AUTH] a WebSocket whose token is a subprotocol', () => {
  let embedded: EmbeddedService;
  before(async () => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off' });
  });
  after(() => embedded.service.close());

  it('is connected at /ws, and the answer selects the protocol that is not secret', async () => {
    const { protocol, first } = await outcome(embedded.webSocketUrl, ['rtc', `rtc.token.${tokenOf('ann')}`]);
    assert.equal(protocol, 'rtc');
    assert.match(first!, /"user_id":"ann"/);
  });

  it('is connected as a Socket.IO client', async () => {
    const socket = io(embedded.url, {
      forceNew: true,
      reconnection: false,
      transports: ['websocket'],
      protocols: ['rtc', `rtc.token.${tokenOf('ann')}`],
    });
    const status = await new Promise<{ details: { user_id: string } }>((resolve, reject) => {
      socket.once('status', resolve);
      socket.once('connect_error', reject);
    });
    assert.equal(status.details.user_id, 'ann');
    socket.disconnect();
  });

  it('is refused with 401 and the reason where the token is malformed, wrong, or offered alone', async () => {
    for (const [protocols, reason] of [
      [['rtc', 'rtc.token.'], /the token is empty/],
      [['rtc', 'rtc.token.nonsense'], /the token is not valid/],
      [[`rtc.token.${tokenOf('ann')}`], /the protocol rtc is missing/],
      [['rtc'], /no token/],
    ] as const) {
      const { status, body } = await outcome(embedded.webSocketUrl, [...protocols]);
      assert.equal(status, 401);
      assert.match(body!, reason);
    }
  });

  it('keeps another protocol that it offers with a token in the address', async () => {
    const { protocol } = await outcome(`${embedded.webSocketUrl}?token=${tokenOf('ann')}`, ['json', 'xml']);
    assert.equal(protocol, 'json');
  });
});
