import assert from 'node:assert/strict';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { connectUnawaited, type SentCommand, type UnawaitedClient } from '../support/unawaited-client.js';
import { until } from '../support/wait.js';

const rules = [
  { role: 'user', topics: ['*'], allow: ['subscribe', 'publish', 'history', 'presence'] },
  { role: 'reader', topics: ['*'], allow: ['subscribe', 'history'] },
];
const subscribe = (...topics: string[]): SentCommand => ({ command: 'subscribe', request: { topics } });
const unsubscribe = (...topics: string[]): SentCommand => ({ command: 'unsubscribe', request: { topics } });
const publish = (topic: string): SentCommand => ({ command: 'publish', request: { topic, payload: 1 } });

for (const storage of ['memory', 'Redis'] as const) {
  for (const wire of ['Socket.IO', '/ws'] as const) {
    describe(`[P1] commands in the order in which they were sent, ${storage}, ${wire}`, () => {
      let redis: TestRedis | undefined;
      let service: EmbeddedService;
      let client: UnawaitedClient;
      let other: Awaited<ReturnType<typeof connectClient>>;
      let topic: string;
      let user: string;
      let number = 0;
      /** Ends the hooks of topics that end with `.held`. */
      const held: (() => void)[] = [];

      before(async () => {
        if (storage === 'Redis') redis = await TestRedis.start();
        service = await startEmbedded(
          {
            RTC_PERMISSIONS: JSON.stringify(rules),
            RTC_WEBSOCKET_MAX_INFLIGHT_COMMANDS: '20',
            RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '60000',
            RTC_REDIS_COMMAND_TIMEOUT_MS: '500',
            RTC_REDIS_STALL_LIMIT_MS: '1000',
            ...(redis && { REDIS_URL: redis.url }),
          },
          {
            hooks: {
              onSubscribe: ({ topic: name }) =>
                name.endsWith('.held') ? new Promise<void>((resolve) => held.push(resolve)) : undefined,
            },
          },
        );
        other = await connectClient(service.url, 'other');
      });
      beforeEach(async () => {
        topic = `t.${++number}`;
        user = `ann-${number}`;
        client = await connectUnawaited(wire, service, user, ['user']);
      });
      afterEach(() => {
        client?.close();
        for (const release of held.splice(0)) release();
      });
      after(async () => {
        other?.disconnect();
        await service?.service.close();
        await redis?.stop();
      });

      const topics = () =>
        [...(service.service.io.of('/').adapter.sids.get(client.connectionId) ?? [])]
          .filter((room) => room.startsWith('topic:'))
          .map((room) => room.slice('topic:'.length));
      const sequencesOf = (name: string) =>
        client.messages.filter((message) => message.topic === name).map(({ sequence }) => sequence);
      /** The answers so far, by the number of the command. */
      const sendAll = (...commands: SentCommand[]) => {
        const answers: (TestAnswer | undefined)[] = commands.map(() => undefined);
        const all = Promise.all(
          commands.map(async (one, n) => {
            answers[n] = await client.send(one);
          }),
        );
        return { answers, all };
      };
      const codeOf = (answer: TestAnswer | undefined, n = 0) =>
        (answer!['rejected'] as { error: { code: string } }[])[n]?.error.code;

      it('subscribe then unsubscribe ends unsubscribed, and the other way round subscribed', async () => {
        const since = {
          command: 'subscribe',
          request: { topics: [topic], since: { [topic]: { epoch: 'x', sequence: 0 } } },
        } as const;
        for (const one of [subscribe(topic), since]) {
          await sendAll(one, unsubscribe(topic)).all;
          assert.deepEqual(topics(), []);
        }
        await sendAll(unsubscribe(topic), subscribe(topic), unsubscribe(topic), subscribe(topic)).all;
        assert.deepEqual(topics(), [topic]);
      });

      it('publish, history and missed wait for the subscription to their topic, others do not', async () => {
        const name = `${topic}.held`;
        await emit(other, 'publish', { topic: name, payload: 0 });
        const { id: since } = await emit(other, 'publish', { topic, payload: 0 });
        const first = sendAll(subscribe(`${topic}.free`, name), publish(name), {
          command: 'history',
          request: { topic: name },
        });
        const free = sendAll(publish(`${topic}.free`), publish(topic));
        const late = sendAll({ command: 'missed', request: { since } });
        await free.all;
        await until(
          () => sequencesOf(`${topic}.free`).length === 1,
          'the own message of a topic without a hook',
        );
        assert.deepEqual(first.answers, [undefined, undefined, undefined]);
        assert.deepEqual(late.answers, [undefined]);
        held.splice(0)[0]!();
        await first.all;
        await late.all;
        assert.equal((first.answers[2]!['messages'] as unknown[]).length, 2);
        const missed = late.answers[0]!['messages'] as { topic: string; sequence: number }[];
        assert.deepEqual(
          missed.map((message) => `${message.topic} ${message.sequence}`).sort(),
          [`${topic}.free 1`, `${name} 2`].sort(),
        );
        await until(() => sequencesOf(name).length > 0, 'the own message arrives');
        assert.deepEqual(sequencesOf(name), [2]);
      });

      it('unsubscribe does not wait for what it ends, and what comes after it does not either', async () => {
        const name = `${topic}.held`;
        const hanging = sendAll(subscribe(name));
        const later = sendAll(unsubscribe(name), publish(name));
        await later.all;
        assert.deepEqual(later.answers[0]!['topics'], [name]);
        const again = sendAll(subscribe(name), publish(name));
        await until(() => held.length === 2, 'the hook runs again');
        assert.deepEqual(hanging.answers, [undefined]);
        held[1]!();
        await again.all;
        held[0]!();
        await hanging.all;
        assert.equal(codeOf(hanging.answers[0]), 'conflict');
        assert.deepEqual(topics(), [name]);
        await until(() => sequencesOf(name).length > 0, 'the own message arrives');
        assert.deepEqual(sequencesOf(name), [2]);
      });

      it('refresh does not wait long for a hook; earlier commands have the former rights, later ones the new ones', async () => {
        const token = tokenOf(user, { roles: ['reader'] });
        const hanging = sendAll(subscribe(`${topic}.held`), publish(topic));
        const refreshed = sendAll({ command: 'refresh', request: { token } }, publish(topic));
        await refreshed.all;
        await until(() => hanging.answers[1] !== undefined, 'the first message is stored');
        assert.equal(hanging.answers[1]!.ok, true);
        assert.equal(refreshed.answers[1]!.error?.code, 'forbidden');
        held.splice(0)[0]!();
        await hanging.all;
        assert.deepEqual(topics(), [`${topic}.held`]);
      });

      it('a message that waits is stored if its client leaves by itself, and not if it is disconnected', async () => {
        for (const leaves of [true, false]) {
          const name = `${topic}.${leaves}.held`;
          const one = await connectUnawaited(wire, service, `${user}-${leaves}`, ['user']);
          const socket = service.service.io.of('/').sockets.get(one.connectionId)!;
          void one.send(subscribe(name)).catch(() => {});
          void one.send(publish(name)).catch(() => {});
          await until(() => held.length === 1, 'the hook runs');
          if (leaves) one.close();
          else socket.disconnect(true);
          await until(() => !service.service.io.of('/').sockets.has(one.connectionId), 'it has left');
          held.splice(0)[0]!();
          // Another one's message comes after it.
          await emit(other, 'publish', { topic: `${name}.last`, payload: 1 });
          const stored = async () => (await emit(other, 'history', { topic: name }))['messages'] as unknown[];
          if (leaves) await until(async () => (await stored()).length === 1, 'it is stored');
          else assert.deepEqual(await stored(), []);
          one.close();
        }
      });

      it('what waits counts as unanswered, so that the transport is not read', async () => {
        const name = `${topic}.held`;
        const { inbound } = (
          service.service as unknown as {
            parts: { gateway: { inbound: { counts: { paused: number; commands: number } } } };
          }
        ).parts.gateway;
        const { paused } = inbound.counts;
        const waiting = sendAll(subscribe(name), ...Array.from({ length: 60 }, () => publish(name)));
        await until(() => inbound.counts.paused > paused, 'the transport is not read');
        assert.ok(inbound.counts.commands >= 20);
        held.splice(0)[0]!();
        await waiting.all;
        assert.deepEqual(
          waiting.answers.slice(1).map((answer) => answer!.sequence),
          Array.from({ length: 60 }, (_, n) => n + 1),
        );
      });

      if (storage === 'Redis')
        it('subscribe then unsubscribe ends unsubscribed while Redis stands still, shortly or for long', async () => {
          for (const ms of [100, 2000]) {
            const name = `${topic}.${ms}`;
            await redis!.signal('SIGSTOP');
            const sent = sendAll(
              subscribe(name),
              publish(name),
              unsubscribe(name),
              subscribe(`${name}.b`),
              unsubscribe(`${name}.b`),
            );
            await new Promise((resolve) => setTimeout(resolve, ms));
            await redis!.signal('SIGCONT');
            await sent.all;
            assert.deepEqual(topics(), []);
            await until(
              async () => (await emit(other, 'publish', { topic: name, payload: 1 })).ok,
              'Redis answers again',
              20_000,
            );
            // The answer comes after everything that was written before.
            await client.send(unsubscribe('none'));
            assert.deepEqual(topics(), []);
          }
        }).timeout(60_000);
    });
  }
}

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[P2.1] subscribing again, ${storage}`, () => {
    let redis: TestRedis | undefined;
    let service: EmbeddedService;
    let other: Awaited<ReturnType<typeof connectClient>>;
    let client: UnawaitedClient;

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
      service = await startEmbedded(redis && { REDIS_URL: redis.url });
      other = await connectClient(service.url, 'other');
      client = await connectUnawaited('Socket.IO', service, 'ann', ['user']);
    });
    after(async () => {
      client?.close();
      other?.disconnect();
      await service?.service.close();
      await redis?.stop();
    });

    const subscribeSince = async (topic: string, epoch: string, sequence: number) => {
      const request = { topics: [topic], since: { [topic]: { epoch, sequence } } };
      const { topics } = await client.send({ command: 'subscribe', request });
      return (topics as { recovered: boolean; missed: number }[])[0]!;
    };
    const sequencesOf = (name: string) =>
      client.messages.filter((message) => message.topic === name).map(({ sequence }) => sequence);
    const fill = async (topic: string, count: number) => {
      const answers = await Promise.all(
        Array.from({ length: count }, () => emit(other, 'publish', { topic, payload: 1 })),
      );
      return answers[0]!.epoch!;
    };
    const upTo = (last: number) => Array.from({ length: last }, (_, n) => n + 1);

    it('from any position since the subscription began repeats nothing', async () => {
      const epoch = await fill('again', 200);
      const first = await subscribeSince('again', epoch, 0);
      assert.deepEqual([first.recovered, first.missed], [true, 200]);
      // While the missed messages are on their way, and afterwards.
      assert.equal((await subscribeSince('again', epoch, 0)).recovered, true);
      await until(() => sequencesOf('again').length >= 200, 'the missed messages');
      for (const sequence of [0, 100, 200]) {
        const { recovered, missed } = await subscribeSince('again', epoch, sequence);
        assert.deepEqual([recovered, missed], [true, 0]);
      }
      await fill('again', 1);
      await until(() => sequencesOf('again').length >= 201, 'a live message');
      assert.deepEqual(sequencesOf('again'), upTo(201));
    });

    it('from the newest position repeats nothing while messages come', async () => {
      const epoch = await fill('busy', 1);
      await subscribeSince('busy', epoch, 0);
      for (let round = 1; round <= 20; round++) {
        const filled = fill('busy', 5);
        await subscribeSince('busy', epoch, sequencesOf('busy').at(-1) ?? 0);
        await filled;
      }
      await until(() => sequencesOf('busy').length >= 101, 'all messages');
      assert.deepEqual(sequencesOf('busy'), upTo(101));
    });

    it('from before the subscription began gives what came before', async () => {
      const epoch = await fill('earlier', 3);
      await client.send(subscribe('earlier'));
      const { recovered, missed } = await subscribeSince('earlier', epoch, 1);
      assert.deepEqual([recovered, missed], [true, 2]);
      await until(() => sequencesOf('earlier').length >= 2, 'the earlier messages');
      assert.deepEqual(sequencesOf('earlier'), [2, 3]);
    });
  });
}
