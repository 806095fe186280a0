import { z } from 'zod';
import { count, positive, setting } from '../setting.js';

/** Rates and quotas of connections, users and addresses. */
export const limits = z
  .strictObject({
    connection_rps: setting(count(0), 'Commands per second and connection; 0 for no limit.'),
    user_rps: setting(
      count(0),
      'Commands per second of one user, all connections on all replicas together; 0 for no limit.',
    ),
    abuse_refusals: setting(
      count(1000),
      'A connection refused as `rate_limited` this often within ten seconds is closed; 0 for never.',
    ),
    connection_bytes_per_sec: setting(
      count(0),
      'Bytes of published payloads per second and connection; 0 for no limit.',
    ),
    user_bytes_per_sec: setting(
      count(0),
      'Bytes of published payloads per second of one user, all connections on all replicas together, on average over ten seconds; 0 for no limit.',
    ),
    user_stored_bytes: setting(
      count(0, 1_000_000_000_000),
      'Bytes that one user may store within `user_quota_window_secs`, on all replicas together; 0 for no limit.',
    ),
    user_new_topics: setting(
      count(0),
      'Topics that one user may create within `user_quota_window_secs`, on all replicas together; 0 for no limit. A topic is created by its first message, and again after its history has expired.',
    ),
    user_quota_window_secs: setting(
      positive(3600, 86_400),
      'Time of `user_stored_bytes` and `user_new_topics`.',
    ),
    address_connects_per_sec: setting(
      count(500),
      'Handshakes per second from one address, of IPv6 from one /64, and half of its new TCP connections per second; loopback is exempt in `development`; 0 for no limit.',
    ),
    waste_packets_per_sec: setting(
      count(500),
      'Packets without use per second and connection: WebSocket pings, unknown, malformed and forbidden commands, acknowledgements that nobody waits for. With more it is not read until the next second; if it goes on for more than five seconds it is closed; 0 for no limit.',
    ),
    untrusted_forwarders: setting(
      z.enum(['exempt', 'limit']).default('exempt'),
      'Peers that send `X-Forwarded-For` without being in `server.trusted_proxies`: `exempt` from limits by address, because a proxy is shared by many users; `limit`: limited like any other, which keeps clients from using the header to get around the limits.',
    ),
    http_requests: setting(
      count(6000),
      'Requests to `/api` per caller and `http_window_secs`; 0 for no limit.',
    ),
    admin_requests: setting(
      count(6000),
      'Requests to `/admin` per operator, replica and `http_window_secs`; a tenth of it for every other user, and for an address without a valid token; 0 for no limit.',
    ),
    http_window_secs: setting(
      positive(60, 3600),
      'Requests to `/api` and `/admin` are counted over this time.',
    ),
    http_bodies_bytes: setting(
      count(50_331_648),
      'Bytes of unfinished request bodies and WebSocket messages, all clients of this replica together; one caller may hold a quarter of it; 0 for no limit.',
    ),
  })
  .prefault({});
