import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { LoggerFactory, type LoggerSettings } from '../../../server/logging/logger.js';
import { until } from '../../support/wait.js';

type Line = Record<string, unknown>;

/** A log whose lines a test can read. */
function recorded(settings: Partial<LoggerSettings> = {}) {
  const texts: string[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      texts.push(chunk.toString());
      done();
    },
  });
  const factory = new LoggerFactory({ level: 'info', format: 'json', ...settings }, destination);
  return { factory, texts, lines: () => texts.map((text) => JSON.parse(text) as Line) };
}

describe('[LOG] the log', () => {
  it('writes one JSON object per line, as the queries of the guide expect', () => {
    const { factory, texts, lines } = recorded();
    factory.log('connection').error('Refused', { connection_id: 'c1', count: 2 });
    assert.ok(texts[0]!.endsWith('\n'));
    const { timestamp, ...line } = lines()[0]!;
    assert.equal(new Date(String(timestamp)).toISOString(), timestamp);
    assert.deepEqual(line, {
      level: 'ERROR',
      target: 'realtime_communication::connection',
      message: 'Refused',
      connection_id: 'c1',
      count: 2,
    });
    assert.deepEqual(Object.keys(lines()[0]!).slice(0, 4), ['level', 'timestamp', 'target', 'message']);
  });

  it('is filtered by directives, of which the longest matching target applies', () => {
    const level = 'warn,realtime_communication=info,realtime_communication::routing=debug,actix_web=trace';
    const { factory, lines } = recorded({ level });
    for (const module of ['routing', 'routing::batch', 'routings']) {
      const log = factory.log(module);
      log.trace('trace');
      log.debug('debug');
      log.info('info');
    }
    assert.deepEqual(
      lines().map(({ target, message }) => [String(target).split('::').slice(1).join('::'), message]),
      [
        ['routing', 'debug'],
        ['routing', 'info'],
        ['routing::batch', 'debug'],
        ['routing::batch', 'info'],
        ['routings', 'info'],
      ],
    );
  });

  it('is filtered by modules, with or without the root of their targets', () => {
    const levels = [
      'routing=debug,info',
      'realtime_communication::routing=debug,realtime_communication=info,warn',
      'routing::batch=debug,realtime_communication::routing=debug,info',
      'INFO,routing=DEBUG,no_such_module=trace',
    ];
    for (const level of levels) {
      const { factory, lines } = recorded({ level });
      for (const module of ['routing', 'routings', 'actor']) {
        factory.log(module).debug('debug');
        factory.log(module).info('info');
      }
      assert.deepEqual(
        lines().map(({ target, message }) => [String(target).split('::')[1], message]),
        [
          ['routing', 'debug'],
          ['routing', 'info'],
          ['routings', 'info'],
          ['actor', 'info'],
        ],
        level,
      );
    }
  });

  it('changes its filter at run time, also for loggers that exist', () => {
    const { factory, lines } = recorded({ level: 'error' });
    const log = factory.log('routing');
    log.debug('before');
    factory.setFilter('realtime_communication::routing=debug');
    assert.equal(factory.directives, 'realtime_communication::routing=debug');
    assert.equal(log.enabled('debug'), true);
    log.debug('after');
    assert.throws(() => factory.setFilter('routing=loud'), /log filter "routing=loud"/);
    log.debug('still');
    factory.setFilter('off');
    log.error('never');
    assert.deepEqual(
      lines().map(({ message }) => message),
      ['after', 'still'],
    );
  });

  it('never contains a secret, at any depth or in any text', () => {
    const { factory, texts } = recorded();
    const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
    const hidden = 'do not tell';
    const error = Object.assign(new Error(`bad token ${token}`), { password: hidden });
    factory.log('x').info(`GET /ws?token=${token}`, {
      token: hidden,
      headers: { Authorization: hidden, cookie: hidden, deeper: [{ jwt_secret: hidden }] },
      url: `/ws?token=${token}`,
      redis: `redis://user:p@${hidden.replaceAll(' ', '')}@host:1/0`,
      error,
      cause: new Error('outer', { cause: error }),
    });
    assert.equal(texts.length, 1);
    assert.doesNotMatch(texts[0]!, /eyJ|do ?not ?tell/);
    assert.match(texts[0]!, /redis:\/\/\[redacted\]@host:1/);
  });

  it('writes errors with their stack, code and cause', () => {
    const { factory, lines } = recorded();
    const cause = Object.assign(new TypeError('inner'), { code: 'E_INNER' });
    factory.log('x').error('Failed', { error: new Error('outer', { cause }) });
    const error = lines()[0]!['error'] as Line & { cause: Line };
    assert.equal(error['message'], 'outer');
    assert.match(String(error['stack']), /logger\.test/);
    assert.deepEqual([error.cause['type'], error.cause['code']], ['TypeError', 'E_INNER']);
  });

  it('keeps its own names and stays readable, whatever the fields are', () => {
    const { factory, lines, texts } = recorded();
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    factory.log('x').warn('Said', {
      level: 'none',
      message: 'other',
      target: 't',
      circular,
      buffer: Buffer.alloc(1_000_000),
      big: 12n,
      many: Array.from({ length: 10_000 }, () => 1),
      when: new Date(0),
      nothing: undefined,
    });
    const line = lines()[0]!;
    assert.deepEqual(
      [line['level'], line['message'], line['message_'], line['level_']],
      ['WARN', 'Said', 'other', 'none'],
    );
    assert.deepEqual(
      [line['buffer'], line['big'], line['when']],
      ['[1000000 bytes]', '12', '1970-01-01T00:00:00.000Z'],
    );
    assert.ok(texts[0]!.length < 2000);
  });

  it('is readable in the pretty format', async () => {
    const { factory, texts } = recorded({ format: 'pretty' });
    factory.log('routing').warn('Message routed', { message_id: 'm1' });
    await until(() => texts.length > 0, 'the line is written');
    assert.match(texts.join(''), /WARN.*realtime_communication::routing: Message routed/);
    assert.match(texts.join(''), /message_id: "m1"/);
  });

  it('is one line per event in the pretty format, whatever names and texts contain', () => {
    const { factory, texts } = recorded({ format: 'pretty' });
    const forged = 'x\n[12:00:00] WARN: forged\r\u001b[2K\u009b1A\u202e';
    const error = new Error(forged);
    factory.log('routing').warn(forged, { user_id: forged, nested: { [forged]: [forged] }, error });
    const shown = texts.join('');
    assert.doesNotMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const [first = '', ...rest] = shown.trimEnd().split('\n');
    assert.match(first, /WARN.*x\\u\{a\}\[12:00:00\] WARN: forged/);
    for (const line of rest) assert.match(line, /^ /, 'only the first line begins at the margin');
    assert.ok(rest.every((line) => !/^\s*\[12:00:00\]/.test(line)));
  });

  it('never holds control characters, also as JSON, and parsers read the original text', () => {
    const { factory, texts, lines } = recorded();
    const text = 'a\u001b[2K\u009b\u202e\u2028\ufeff';
    factory.log('x').info(text, { user_id: text, nested: { [text]: text } });
    assert.match(texts[0]!, /^[ -~]*\n$/);
    assert.deepEqual(lines()[0]!['nested'], { [text]: text });
    assert.equal(lines()[0]!['message'], text);
  });

  it('has lines of bounded length', () => {
    const { factory, texts } = recorded();
    const long = 'long '.repeat(200_000);
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`${n}${long}`, long]));
    factory.log('x').info(long, { long, wide, list: Array<unknown>(100).fill(wide), error: new Error(long) });
    assert.ok(texts[0]!.length < 40_000, `${texts[0]!.length} characters`);
  });

  it('leaves out warnings that repeat too fast, and says how many', async () => {
    const { factory, lines } = recorded();
    const log = factory.log('commands');
    for (let n = 0; n < 500; n++) log.error('Command failed', { n });
    assert.ok(lines().length < 200, `${lines().length} lines`);
    await until(() => {
      log.error('Command failed');
      return lines().some((line) => Number(line['left_out']) > 300);
    }, 'the number of the lines left out is written');
  });
});
