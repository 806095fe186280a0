import assert from 'node:assert/strict';
import { windowsBy } from '../../../server/app/flush-windows.js';
import { loadSettings } from '../../../server/config/load.js';

describe('[HOT] the limits of the window of a topic', () => {
  const windowsWith = (environment: NodeJS.ProcessEnv) => windowsBy(loadSettings(environment).topics);

  it('are those of the first rule that matches, and for the rest the common ones', () => {
    const windowOf = windowsWith({
      RTC_TOPICS_LATENCY_TARGET_MS: '8',
      RTC_TOPICS_RULES: JSON.stringify([
        { pattern: 'game.*', latency_target_ms: 0, fanout_window_max_ms: 20 },
        { pattern: 'game.lobby', fanout_window_max_ms: 50 },
        { pattern: 'ticker.*', latency_target_ms: 100 },
      ]),
    });
    assert.deepEqual(windowOf('game.lobby'), { windowMs: 0, maxWindowMs: 20 });
    assert.deepEqual(windowOf('ticker.a'), { windowMs: 100, maxWindowMs: 100 });
    assert.deepEqual(windowOf('chat'), { windowMs: 8, maxWindowMs: 100 });
  });

  it('are read under their older name too', () => {
    assert.equal(windowsWith({ RTC_TOPICS_FANOUT_WINDOW_MS: '12' })('t').windowMs, 12);
    assert.equal(windowsWith({})('t').windowMs, 5);
  });
});
