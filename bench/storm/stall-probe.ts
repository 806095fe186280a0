/**
 * Loaded into each server before its own code (`--require`), of every side: tells the largest delay of its event loop. The service has
 * such a figure of its own in `/metrics`, which is coarser and begins with the process.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Delays are seen from this length on, in milliseconds. */
const resolutionMs = 5;

const loop = monitorEventLoopDelay({ resolution: resolutionMs });
loop.enable();

process.on('message', (message) => {
  if (message !== 'stall') return;
  // Nothing was recorded: the loop has not turned since the last question.
  const longestMs = loop.count === 0 ? 0 : loop.max / 1e6 - resolutionMs;
  loop.reset();
  process.send!({ stallMs: Math.max(0, longestMs) });
});
// The channel to the benchmark must not keep a server from ending.
process.channel?.unref();
