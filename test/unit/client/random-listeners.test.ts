import assert from 'node:assert/strict';
import { seededRandom, type Random } from '../../../bench/seeded-random.js';
import { ClientError } from '../../../client/client-error.js';
import type { Subscription } from '../../../client/index.js';
import { epoch, messageOf, ScriptedService } from '../../support/scripted-service.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const runs = 300;

/** A run: a service that does what it may, and listeners that do anything with the client while they are called. */
class Run {
  readonly service = new ScriptedService();
  /** What is wrong. */
  readonly wrong: string[] = [];
  /** The last state that each listener was told. */
  private readonly told: string[] = [];
  private sequence = 0;
  private isClosed = false;
  /** What listeners may still do, so that each run ends. */
  private actions = 40;

  constructor(private readonly random: Random) {
    const { client } = this.service;
    for (const n of [0, 1, 2])
      client.on('state', ({ state }) => {
        this.told[n] = state;
        return this.act();
      });
    for (const event of ['connect', 'disconnect', 'give_up', 'status', 'direct'] as const)
      client.on(event, () => this.act());
    client.on('error', () => this.perhaps());
    this.follow();
  }

  /** What a listener does: perhaps something with the client, and then it returns, or fails in some way. */
  private act(): unknown {
    this.perhaps();
    switch (this.random(8)) {
      case 0:
        throw new Error('of the app');
      case 1:
        return Promise.reject(new Error('of the app'));
      case 2:
        return Promise.resolve();
      case 3:
        return { then: (_: unknown, reject: (error: Error) => void) => reject(new Error('of the app')) };
    }
    return undefined;
  }

  private perhaps(): void {
    if (this.actions === 0 || this.random(3) > 0) return;
    this.actions--;
    this.one();
  }

  private one(): void {
    const { client } = this.service;
    switch (this.random(12)) {
      case 0:
        this.isClosed = true;
        return client.close();
      case 1:
      case 2:
      case 3:
        return client.disconnect();
      case 4:
      case 5:
        return void (this.isClosed || client.connect());
      case 6:
        return void client
          .topic('news')
          .publish(1)
          .catch(() => {});
      default:
        return this.follow();
    }
  }

  /** Each subscription is to get each message once, in order, or to be told of a gap. */
  private follow(): void {
    const subscription: Subscription = this.service.client
      .topic('news')
      .subscribe({ presence: this.random(2) === 0 });
    let last: number | undefined;
    let form: 'message' | 'batch' = this.random(2) === 0 ? 'message' : 'batch';
    const given = ({ sequence }: { readonly sequence: number }) => {
      if (last !== undefined && sequence !== last + 1)
        this.wrong.push(`${sequence} after ${last}, by ${form}`);
      last = sequence;
    };
    const listen = (): void => {
      const remove = subscription.on(form, (event) => {
        for (const message of 'messages' in event ? event.messages : [event]) given(message);
        if (this.random(4) === 0) {
          remove();
          form = form === 'message' ? 'batch' : 'message';
          listen();
        }
        if (this.random(9) === 0) subscription.close();
        return this.act();
      });
    };
    listen();
    subscription.on('gap', () => (last = undefined));
    for (const event of ['subscribed', 'ended', 'presence'] as const)
      subscription.on(event, () => this.act());
  }

  async step(): Promise<void> {
    const { service, random } = this;
    const { client } = service;
    const news = () => ({ topic: 'news', epoch, sequence: this.sequence });
    switch (random(8)) {
      case 0:
        if (!this.isClosed && !client.isConnected) await service.connect();
        break;
      case 1:
        if (client.isConnected) service.disconnect();
        break;
      case 2:
        if (client.isConnected)
          service.disconnect({ state: 'stopped', error: new ClientError('give_up', 'no connection') });
        break;
      case 3:
        if (client.isConnected)
          service.event('direct', { ...messageOf('', ++this.sequence), sequence: this.sequence }, () => {});
        break;
      case 4: {
        const error = { code: random(2) === 0 ? 'busy' : 'forbidden', message: 'no' };
        for (const { command, answer, body } of service.requests.splice(0)) {
          const isPresence = command === 'subscribe' && body['presence'] === true && random(2) === 0;
          if (isPresence) answer({ topics: [], rejected: [{ topic: 'news', error }] });
          else answer({ ...news(), topics: [news()], messages: [], complete: true, id: 'a', users: [] });
        }
        break;
      }
      case 5:
        await service.clock.advance(1000);
        break;
      default:
        if (!client.isConnected) break;
        this.sequence++;
        service.event('message', messageOf('news', this.sequence));
    }
    await service.clock.settle();
    for (const [n, state] of this.told.entries())
      if (state !== client.state.state)
        this.wrong.push(`listener ${n} was told ${state} last, it is ${client.state.state}`);
  }
}

describe(`[CLIENT] listeners that do anything, in random orders (SEED=${seed})`, () => {
  it('are told the state last that is true, get each message once and in order, and leave no rejection behind', async function () {
    this.timeout(60_000);
    const unhandled: unknown[] = [];
    const note = (cause: unknown) => void unhandled.push(cause);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    try {
      for (let n = 0; n < runs; n++) {
        const run = new Run(seededRandom(seed + n));
        for (let step = 0; step < 40; step++) await run.step();
        assert.deepEqual([run.wrong, unhandled], [[], []], `SEED=${seed + n}`);
      }
    } finally {
      process.off('unhandledRejection', note);
      for (const other of others) process.on('unhandledRejection', other);
    }
  });
});
