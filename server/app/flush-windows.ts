import { compileTopicPattern } from '../../shared/topic-name.js';
import type { Settings } from '../config/schema.js';
import type { FlushWindowSettings } from '../fanout/flush-window.js';

/** How long messages of a topic gather: the first matching rule decides. */
export function windowsBy({
  rules,
  latencyTargetMs,
  fanoutWindowMs,
  fanoutWindowMaxMs,
}: Settings['topics']): (topic: string) => FlushWindowSettings {
  const common = { windowMs: fanoutWindowMs ?? latencyTargetMs, maxWindowMs: fanoutWindowMaxMs };
  const windows = rules.map((rule) => ({
    matches: compileTopicPattern(rule.pattern),
    window: {
      windowMs: rule.latencyTargetMs ?? common.windowMs,
      maxWindowMs: rule.fanoutWindowMaxMs ?? common.maxWindowMs,
    },
  }));
  return (topic) => windows.find(({ matches }) => matches(topic))?.window ?? common;
}
