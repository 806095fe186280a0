import { z } from 'zod';
import { originOf, originRule } from '../origins.js';
import { count, positive, setting } from '../setting.js';

/** Connections of clients, on both wires. */
export const websocket = z
  .strictObject({
    heartbeat_interval_secs: setting(positive(30, 3600), 'Interval between pings.'),
    client_timeout_secs: setting(
      positive(60, 7200),
      'A client without any data for this long is disconnected; must be longer than `heartbeat_interval_secs`.',
    ),
    max_message_bytes: setting(
      positive(65_536, 16_777_216),
      'Largest payload of a message; a larger one is refused and the connection stays open. At most `transport_limit_bytes`.',
    ),
    transport_limit_bytes: setting(
      positive(1_000_000, 134_217_728),
      'Largest frame; a larger one closes the connection.',
    ),
    connect_timeout_secs: setting(
      positive(10, 600),
      'A transport that has not completed its handshake within this time is closed.',
    ),
    allowed_origins: setting(
      z.array(z.string().refine((text) => originOf(text) !== undefined, originRule)).default(['*']),
      'Origins of web pages that may connect, and read the answers of `/api`; `*` for any.',
    ),
    max_topics_per_connection: setting(positive(1000), 'Largest number of subscriptions per connection.'),
    max_payload_depth: setting(positive(32, 1000), 'Deepest nesting of a payload.'),
    handshakes_per_sec: setting(
      count(500),
      'Handshakes admitted per second; further ones wait up to ten seconds, addresses in turns, then are refused; 0 for no limit.',
    ),
    max_connections: setting(count(0), 'Largest number of connections of this replica; 0 for no limit.'),
    max_connections_per_user: setting(
      count(0),
      'Largest number of connections of one user on all replicas together; 0 for no limit.',
    ),
    max_connections_per_address: setting(
      count(5000),
      'Largest number of connections of this replica from one address, of IPv6 from one /64; loopback is exempt in `development`; 0 for no limit.',
    ),
    max_join_bytes: setting(
      positive(262_144, 134_217_728),
      'Bytes that a Socket.IO client may send before it has joined: its token, and the positions of its topics.',
    ),
    max_inflight_commands: setting(
      positive(5000, 1_000_000),
      'Commands of one connection that may be unanswered; with more it is not read until half of them are answered.',
    ),
    max_inflight_bytes: setting(
      positive(4_194_304),
      'Bytes of the unanswered commands of one connection; with more it is not read until half of them are answered.',
    ),
    total_inflight_bytes: setting(
      positive(16_777_216),
      'Bytes of the unanswered commands of all connections, each counted with 3 KiB more; with more, connections that hold much of them are not read.',
    ),
    max_unjoined: setting(
      count(1000),
      'Clients that are connected and have not authenticated yet; half of it for one address. One counts for each 2 KiB of the head of its handshake. Handshakes of others wait. 0 for no limit.',
    ),
    slim_connections: setting(
      z.enum(['auto', 'on', 'off']).default('auto'),
      'Whether idle connections release their handshake and request, which makes them much smaller. `auto`: `on` in the standalone service, `off` in a program that embeds it, which then sees them as in plain Socket.IO.',
    ),
  })
  .refine(({ heartbeat_interval_secs: interval, client_timeout_secs: timeout }) => timeout > interval, {
    path: ['client_timeout_secs'],
    error: 'must be longer than heartbeat_interval_secs',
  })
  .refine(({ max_message_bytes: message, transport_limit_bytes: frame }) => message <= frame, {
    path: ['max_message_bytes'],
    error: 'must be at most transport_limit_bytes',
  })
  .prefault({});
