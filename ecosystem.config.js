// PM2: REPLICAS replicas (2 unless set, 1 without Redis) on one port, kept in step by Redis.
//
//   npm run build && REDIS_URL=redis://localhost:6379 JWT_SECRET=… pm2 start ecosystem.config.js
//
// pm2 reload, scale, logs and pm2-runtime: docs/deployment.md.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const { env } = process;
const file = join(__dirname, 'rtc.toml');
const settingsFile = env.RTC_CONFIG || (existsSync(file) ? file : undefined);
/** What is in the file is not looked at here: the service itself refuses what does not fit. */
const hasRedis = Boolean(env.REDIS_URL || env.RTC_REDIS_URL || env.RTC_REDIS_SENTINELS || settingsFile);
const replicas = Number(env.REPLICAS || (hasRedis ? 2 : 1));

if (!Number.isInteger(replicas) || replicas < 1) throw new Error('REPLICAS must be a number of 1 or more');
if (replicas > 1 && !hasRedis)
  throw new Error(
    `REPLICAS=${replicas} needs Redis: set REDIS_URL. Without it, each replica would have its own topics.`,
  );

/** How long a replica takes to end at most: the drain, and the stop. Read as the service reads it, file included. */
function stopMs() {
  const built = join(__dirname, 'dist', 'server', 'config', 'load.js');
  if (!existsSync(built)) throw new Error('the service is not built: npm ci && npm run build');
  const { loadSettings } = require(built);
  const { drainDelaySecs, drainWindowSecs, shutdownTimeoutMs } = loadSettings(env, settingsFile).server;
  return (drainDelaySecs + drainWindowSecs) * 1000 + shutdownTimeoutMs;
}

module.exports = {
  apps: [
    {
      name: 'realtime-communication',
      cwd: __dirname,
      script: 'dist/server/main.js',
      // Without Redis, `pm2 reload` must not start the next process while this one has the port: it would be refused.
      exec_mode: hasRedis ? 'cluster' : 'fork',
      instances: replicas,
      // The next replica is replaced when this one listens.
      wait_ready: true,
      listen_timeout: 15_000,
      // Above the time in which a replica ends by itself.
      kill_timeout: stopMs() + 5000,
      // Invalid settings (2) do not become valid by starting again.
      stop_exit_codes: [2],
      exp_backoff_restart_delay: 200,
      merge_logs: true,
      env: { NODE_ENV: 'production' },
    },
  ],
};
