import assert from 'node:assert/strict';
import { JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { until } from '../support/wait.js';

/** Client code that users of the older service have, as it stands; see docs/from-older-service.md. */
const code = `
class StatefulReconnection {
  constructor(client) {
    this.client = client;
    this.state = { subscriptions: new Set(), pendingMessages: [], lastMessageId: null, sessionId: null };
  }
  saveState() {
    localStorage.setItem('rtc_state', JSON.stringify({
      subscriptions: Array.from(this.state.subscriptions),
      lastMessageId: this.state.lastMessageId,
      sessionId: this.state.sessionId,
      timestamp: Date.now()
    }));
  }
  async restoreState() {
    const saved = localStorage.getItem('rtc_state');
    if (!saved) return;
    const state = JSON.parse(saved);
    if (Date.now() - state.timestamp > 300000) {
      localStorage.removeItem('rtc_state');
      return;
    }
    if (state.subscriptions.length > 0) {
      await this.client.subscribe(state.subscriptions);
    }
    if (state.lastMessageId) {
      await this.client.send({
        type: 'GetMissedMessages',
        data: { since: state.lastMessageId, session_id: state.sessionId }
      });
    }
  }
  onConnect() { this.restoreState(); }
  onMessage(message) { this.state.lastMessageId = message.id; this.saveState(); }
  onSubscribe(topics) { topics.forEach(topic => this.state.subscriptions.add(topic)); this.saveState(); }
}
class OrderedMessageHandler {
  constructor() {
    this.sequences = new Map();
    this.buffers = new Map();
  }
  handleMessage(topic, message) {
    const seq = message.sequence;
    const expected = this.sequences.get(topic) || 0;
    if (seq === expected) {
      this.processMessage(message);
      this.sequences.set(topic, seq + 1);
      this.processBuffered(topic);
    } else if (seq > expected) {
      this.bufferMessage(topic, message);
    }
  }
  processBuffered(topic) {
    const buffer = this.buffers.get(topic) || [];
    const expected = this.sequences.get(topic);
    buffer.sort((a, b) => a.sequence - b.sequence);
    while (buffer.length > 0 && buffer[0].sequence === expected) {
      const msg = buffer.shift();
      this.processMessage(msg);
      this.sequences.set(topic, expected + 1);
    }
  }
}
return { StatefulReconnection, OrderedMessageHandler };`;

interface OlderMessage {
  readonly id: string;
  readonly sequence: number;
}
interface OlderReconnection {
  onConnect(): void;
  onMessage(message: OlderMessage): void;
  onSubscribe(topics: readonly string[]): void;
}
interface OlderOrder {
  readonly sequences: Map<string, number>;
  processMessage: (message: OlderMessage) => void;
  bufferMessage: (topic: string, message: OlderMessage) => void;
  handleMessage(topic: string, message: OlderMessage): void;
}
interface OlderCode {
  readonly StatefulReconnection: new (client: object) => OlderReconnection;
  readonly OrderedMessageHandler: new () => OlderOrder;
}

describe('[WIRE] clients of the older service, as they stand', () => {
  let embedded: EmbeddedService;
  const clients: JsonClient[] = [];
  const stored = new Map<string, string>();
  const localStorage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  };
  const older = new Function('localStorage', code)(localStorage) as OlderCode;

  before(async () => {
    embedded = await startEmbedded();
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.webSocket.terminate();
  });
  after(() => embedded.service.close());

  const connect = async () => {
    const client = new JsonClient(embedded.webSocketUrl, 'ann');
    clients.push(client);
    await until(() => client.of('Status').length === 1, 'connected');
    return client;
  };
  const facade = (client: JsonClient) => ({
    subscribe: async (topics: readonly string[]) => {
      client.send({ type: 'Subscribe', data: { topics } });
      await until(() => client.of('Status').length === 2, 'subscribed');
    },
    send: (frame: object) => client.send(frame),
  });

  it('get what they have missed after a page was loaded again, with the session null', async () => {
    const before = await connect();
    const first = new older.StatefulReconnection(facade(before));
    before.send({ type: 'Subscribe', data: { topics: ['news'] } });
    await until(() => before.of('Status').length === 2, 'subscribed');
    first.onSubscribe(['news']);
    await embedded.service.publish('news', 'seen');
    await until(() => before.received.messages.length === 1, 'the first message');
    first.onMessage(before.received.messages[0]!);
    before.webSocket.terminate();
    for (const payload of ['missed 1', 'missed 2']) await embedded.service.publish('news', payload);
    const after = await connect();
    new older.StatefulReconnection(facade(after)).onConnect();
    await until(() => after.received.messages.length === 2, 'the missed messages');
    assert.deepEqual(
      after.received.messages.map(({ payload }) => payload),
      ['missed 1', 'missed 2'],
    );
    assert.deepEqual(after.of('Error'), []);
  });

  it('process messages in order once they begin at the position that `Status` names', async () => {
    const client = await connect();
    await embedded.service.publish('ordered', 'before');
    client.send({ type: 'Subscribe', data: { topics: ['ordered'] } });
    await until(() => client.of('Status').length === 2, 'subscribed');
    const order = new older.OrderedMessageHandler();
    const processed: number[] = [];
    order.processMessage = ({ sequence }) => processed.push(sequence);
    order.bufferMessage = () => assert.fail('nothing comes out of order');
    const { details } = client.of('Status')[1]!.data as {
      details: { positions: { topic: string; sequence: number }[] };
    };
    for (const { topic, sequence } of details.positions) order.sequences.set(topic, sequence + 1);
    for (let n = 0; n < 3; n++) await embedded.service.publish('ordered', n);
    await until(() => client.received.messages.length === 3, 'three messages');
    for (const message of client.received.messages) order.handleMessage('ordered', message);
    assert.deepEqual(processed, [2, 3, 4]);
  });
});
