import { z } from 'zod';
import { isProxyNetwork } from '../proxies.js';
import { count, optionalText, positive, setting, text } from '../setting.js';

/** The process and its HTTP server. */
export const server = z
  .strictObject({
    host: setting(text('0.0.0.0'), 'Address to listen on.'),
    port: setting(z.int().min(0).max(65_535).default(8081), 'Port to listen on; 0 for any free port.'),
    replica_id: setting(
      optionalText(),
      'Name of this replica, unique in the cluster: a second one with the same name does not start. Default: host name and a random suffix.',
    ),
    environment: setting(
      z.enum(['development', 'production', 'test']).default('development'),
      'In `production` a missing token secret is an error, and so is one shorter than 32 bytes; otherwise a secret is generated for each run.',
    ),
    trusted_proxies: setting(
      z
        .array(
          z
            .string()
            .refine(isProxyNetwork, 'must be an address, a network such as 10.0.0.0/8, loopback or private'),
        )
        .default(['loopback']),
      'Proxies whose `X-Forwarded-For` is trusted: addresses, networks, `loopback`, `private`.',
    ),
    profile: setting(
      z.enum(['standard', 'hardened']).default('standard'),
      '`hardened` changes the defaults of the settings that docs/security.md lists. What is set explicitly wins.',
    ),
    metrics_access: setting(
      z.enum(['open', 'token', 'loopback']).default('open'),
      'Who may read `/metrics`: everybody, callers with a token of the role `viewer` or more, or clients on the same machine.',
    ),
    drain_delay_secs: setting(
      count(0, 3600),
      'After SIGTERM the replica reports that it is not ready, and goes on as before for this long: load balancers notice meanwhile.',
    ),
    drain_window_secs: setting(
      count(5, 86_400),
      'Then its clients are moved to other replicas, evenly spread over this time; 0: all at once.',
    ),
    shutdown_timeout_ms: setting(
      positive(10_000),
      'After the drain the process ends within this time. Whatever stops it has to wait longer than for these three settings together.',
    ),
    keep_alive_secs: setting(
      positive(75, 3600),
      'Idle HTTP connections are kept for this long. Set it above the idle timeout of the load balancer in front, which is usually 60 seconds.',
    ),
    header_timeout_secs: setting(
      positive(10, 300),
      'A connection whose request headers have not arrived within this time is closed, also one that sends nothing.',
    ),
    body_timeout_secs: setting(
      positive(30, 3600),
      'A request body for the service has to arrive within this time. Backups that are restored are exempt.',
    ),
    max_header_bytes: setting(
      z.int().min(4096).max(1_048_576).default(16_384),
      'Largest request headers, address and cookies included; larger ones get 431.',
    ),
    max_tcp_connections: setting(
      count(100_000),
      'TCP connections of this replica, WebSockets included; further ones are closed at once; 0 for no limit.',
    ),
  })
  .prefault({});
