import assert from 'node:assert/strict';
import { Talkers } from '../../../server/limits/talkers.js';

const sender = (id: string, userId: string) => ({ id, identity: { userId } });

describe('[TALKERS] who sends the most', () => {
  let now = 0;
  let talkers: Talkers;
  beforeEach(() => {
    now = 0;
    // The windows are turned by a timer; one window is enough here.
    talkers = new Talkers({ now: () => now }, { windowMs: 60_000, names: 100 });
  });
  afterEach(() => talkers.close());

  it('counts commands, payloads and refusals of connections and of their users', () => {
    const [one, other] = [sender('c1', 'ann'), sender('c2', 'ann')];
    for (let n = 0; n < 3; n++) talkers.command(one);
    talkers.message(one, 100);
    talkers.message(other, 20);
    talkers.command(sender('c3', 'bob'));
    talkers.refused(other, 'news');
    now = 60_000;
    assert.deepEqual(
      talkers.top('user', 'commands', 10).map(({ name }) => name),
      ['ann', 'bob'],
    );
    const [ann] = talkers.top('user', 'bytes', 10);
    assert.deepEqual(ann, {
      name: 'ann',
      commands_per_sec: 0.1,
      messages_per_sec: 0,
      bytes_per_sec: 2,
      refused_per_sec: 0,
    });
    const [first] = talkers.top('connection', 'bytes', 1);
    assert.deepEqual([first!.name, first!.user_id], ['c1', 'ann']);
  });

  it('counts what is passed to a topic, and refusals of topics that it knows only', () => {
    talkers.refused(sender('c1', 'ann'), 'made-up');
    assert.deepEqual(talkers.top('topic', 'refused', 10), []);
    talkers.published('news', 60_000);
    talkers.refused(sender('c1', 'ann'), 'news');
    talkers.refused(sender('c1', 'ann'), undefined);
    assert.deepEqual(
      talkers.top('topic', 'bytes', 10).map(({ name, bytes_per_sec: bytes }) => [name, bytes]),
      [['news', 1000]],
    );
    assert.equal(talkers.top('topic', 'refused', 10).length, 1);
  });

  it('counts callers over HTTP by user, not as one connection', () => {
    talkers.command(sender('http', 'ann'));
    talkers.command(sender('http', 'bob'));
    assert.equal(talkers.top('user', 'commands', 10).length, 2);
    assert.deepEqual(talkers.top('connection', 'commands', 10), []);
  });

  it('holds no more names than its limit, however many there are', () => {
    for (let n = 0; n < 1000; n++) {
      talkers.command(sender(`c${n}`, `user${n}`));
      talkers.published(`topic${n}`, 1);
    }
    assert.equal(talkers.top('user', 'commands', 1000).length, 100);
    assert.equal(talkers.top('connection', 'commands', 1000).length, 100);
    assert.equal(talkers.top('topic', 'messages', 1000).length, 100);
  });
});
