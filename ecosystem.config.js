// PM2: REPLICAS replicas (2 unless set) on one port, kept in step by Redis.
//
//   npm run build && REDIS_URL=redis://localhost:6379 JWT_SECRET=… pm2 start ecosystem.config.js
//
// PM2 spreads connections, not sessions: clients that connect by WebSocket only (`transports: ['websocket']`) and /ws clients need
// nothing more. HTTP long-polling needs a balancer that keeps a client on one replica; behind one, give each replica its own port.
module.exports = {
  apps: [
    {
      name: 'realtime-communication',
      script: 'dist/server/main.js',
      node_args: '--enable-source-maps',
      exec_mode: 'cluster',
      instances: Number(process.env.REPLICAS || 2),
      wait_ready: true,
      listen_timeout: 15000,
      kill_timeout: 12000,
      merge_logs: true,
      env: { NODE_ENV: 'production' },
    },
  ],
};
