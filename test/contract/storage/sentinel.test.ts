import assert from 'node:assert/strict';
import { silentLog, type Log } from '../../../server/logging/log.js';
import { redisAddressOf } from '../../../server/config/redis-address.js';
import { AdapterClients } from '../../../server/storage/redis/adapter-clients.js';
import { redisConnector, type RedisConnector } from '../../../server/storage/redis/redis-connector.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { TestRedis } from '../../support/redis.js';
import { masterName, TestSentinel } from '../../support/sentinels.js';
import { until } from '../../support/wait.js';

describe('Redis under Sentinel', function () {
  this.timeout(60_000);
  const redises: TestRedis[] = [];
  const sentinels: TestSentinel[] = [];
  const closing: { close(): Promise<void> }[] = [];
  const warnings: string[] = [];
  /** The Sentinels that the last warning names. */
  let failing: readonly string[] = [];
  let first: TestRedis;
  let second: TestRedis;

  const startRedis = async () => {
    const redis = await TestRedis.start();
    redises.push(redis);
    return redis;
  };
  const startSentinel = async (redis: TestRedis, ...more: string[]) => {
    const sentinel = await TestSentinel.start(redis.port, more);
    sentinels.push(sentinel);
    return sentinel;
  };
  const connectorTo = (url: string): RedisConnector => {
    const address = redisAddressOf({ url, sentinels: [], sentinelMasterName: '' })!;
    const log: Log = {
      ...silentLog,
      warn: (message, { failures = [] } = {}) => {
        warnings.push(message);
        failing = failures as readonly string[];
      },
    };
    return redisConnector({ log }, { address });
  };
  const urlOf = (userinfo = '', query = '') =>
    `redis+sentinel://${userinfo}${sentinels.map(({ address }) => address).join(',')}/${masterName}${query}`;
  const openLink = (connector = connectorTo(urlOf())) => {
    const link = new RedisLink(
      { log: silentLog, connector },
      { url: '', commandTimeoutMs: 500, stallLimitMs: 3000 },
    );
    closing.push(link);
    link.start();
    return link;
  };
  /** The port of the Redis that answers on the link. */
  const portOf = async (link: RedisLink) => {
    const info = await link.call<string>(['INFO', 'server']).catch(() => '');
    return Number(/tcp_port:(\d+)/.exec(info)?.[1]);
  };
  const isAt = (link: RedisLink, redis: TestRedis) =>
    until(async () => (await portOf(link)) === redis.port, 'the link is at the Redis', 20_000);

  beforeEach(async () => {
    [first, second] = await Promise.all([startRedis(), startRedis()]);
    warnings.length = 0;
    failing = [];
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((one) => one.close()));
    await Promise.all(sentinels.splice(0).map((sentinel) => sentinel.stop()));
    await Promise.all(redises.splice(0).map((redis) => redis.stop()));
  });

  it('is connected where most of the Sentinels say, and all connections move when they say something else', async () => {
    for (let n = 0; n < 3; n++) await startSentinel(first);
    const connector = connectorTo(urlOf());
    const link = openLink(connector);
    const adapter = new AdapterClients({ log: silentLog, connector }, { url: '', answerLimitMs: 1000 });
    closing.push(adapter);
    adapter.start();
    const subscriber = adapter.subscriber as {
      subscribe(channels: string[], listener: (message: Buffer) => void): void;
    };
    const received: string[] = [];
    subscriber.subscribe(['of the adapter'], (message) => received.push(message.toString()));
    await isAt(link, first);
    const ownMessages: string[] = [];
    await link.subscribe('of the link', (message) => ownMessages.push(message.toString()));
    // The former primary lives on: what it answers must not count.
    for (const sentinel of sentinels) await sentinel.monitor(second.port, 1);
    await isAt(link, second);
    assert.deepEqual(warnings.includes('Sentinel names another primary of Redis'), true);
    await until(async () => {
      await second.command('PUBLISH "of the adapter" here');
      await second.command('PUBLISH "of the link" here');
      return received.includes('here') && ownMessages.includes('here');
    }, 'both are subscribed there');
    await first.command('PUBLISH "of the link" stale');
    await second.command('PUBLISH "of the link" last');
    await until(() => ownMessages.includes('last'), 'the message of the present primary arrives');
    assert.equal(ownMessages.includes('stale'), false);
  });

  it('is not taken from a Sentinel that was away, and has not heard of the failover', async () => {
    const stale = await startSentinel(first);
    await startSentinel(second, `sentinel config-epoch ${masterName} 2`);
    await startSentinel(second, `sentinel config-epoch ${masterName} 2`);
    await stale.signal('SIGSTOP');
    const link = openLink();
    await isAt(link, second);
    await stale.signal('SIGCONT');
    await sentinels[1]!.signal('SIGKILL');
    await sentinels[2]!.signal('SIGKILL');
    const names = (sentinel: TestSentinel) => failing.some((text) => text.startsWith(sentinel.address));
    await until(
      () => names(sentinels[1]!) && names(sentinels[2]!) && !names(stale),
      'only the stale one answers',
    );
    assert.equal(await portOf(link), second.port);
  });

  it('is used while no Sentinel answers, and a Sentinel that hangs delays nothing', async () => {
    for (let n = 0; n < 3; n++) await startSentinel(first);
    await sentinels[0]!.signal('SIGSTOP');
    const link = openLink();
    await isAt(link, first);
    for (const sentinel of sentinels) await sentinel.signal('SIGKILL');
    await until(() => warnings.includes('No Sentinel answers: a failover is not noticed'), 'it is logged');
    assert.equal(await link.call(['PING']), 'PONG');
    await first.signal('SIGKILL');
    await first.run();
    await isAt(link, first);
  });

  it('is an outage with a name of its own while the Sentinels do not name it, and is used as soon as they do', async () => {
    const sentinel = await startSentinel(first);
    const wrong = openLink(connectorTo(`redis+sentinel://${sentinel.address}/another`));
    await until(() => wrong.outage.current !== undefined, 'the outage is known');
    assert.equal(wrong.outage.current?.kind, 'sentinel');
    assert.match(wrong.outage.current.reason, /No such master/);
    assert.equal(wrong.state, 'down');

    await sentinel.signal('SIGKILL');
    const early = openLink();
    await until(() => early.outage.current?.kind === 'sentinel', 'no Sentinel is reached');
    await sentinel.run();
    await isAt(early, first);
    assert.equal(early.outage.current, undefined);
  });

  it('may ask for passwords of its own, and of the Sentinels', async () => {
    const locked = await startRedis();
    await locked.command('CONFIG SET requirepass "of redis"');
    await startSentinel(locked, `sentinel auth-pass ${masterName} "of redis"`, 'requirepass "of sentinel"');
    const refused = openLink(connectorTo(urlOf('', '?sentinel_password=wrong')));
    await until(() => refused.outage.current !== undefined, 'the outage is known');
    assert.match(refused.outage.current!.reason, /WRONGPASS/);
    const link = openLink(connectorTo(urlOf(':of%20redis@', '?sentinel_password=of%20sentinel')));
    await isAt(link, locked);
  });
});
