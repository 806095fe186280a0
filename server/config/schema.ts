import { z } from 'zod';
import { isTopicPattern } from '../../shared/topic-name.js';
import { isProxyNetwork } from './proxies.js';
import { isLogFilter, logFilterRule } from '../logging/log-filter.js';

/** One setting. Its schema defines type, limits and default; its meaning is shown in `docs/config.md`. */
const setting = <Schema extends z.ZodType>(schema: Schema, meaning: string) =>
  schema.meta({ description: meaning });

const count = (initial: number, max = 1_000_000_000) => z.int().min(0).max(max).default(initial);
const positive = (initial: number, max = 1_000_000_000) => z.int().min(1).max(max).default(initial);
const text = (initial: string) => z.string().default(initial);
const optionalText = () => z.string().min(1).optional();
const pattern = z
  .string()
  .refine(isTopicPattern, 'must be a topic name, in which * stands for any characters');
const redisAddress = z
  .string()
  .refine(
    (url) => URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol),
    'must be redis://[[user]:password@]host[:port][/database], or rediss:// for TLS',
  );
const webAddress = z.url({
  protocol: /^https?$/,
  error: 'must be an address that begins with http:// or https://',
});
const actions = ['subscribe', 'publish', 'history', 'presence', 'direct'] as const;

const permission = z.strictObject({
  role: z.string().min(1),
  topics: z.array(pattern).min(1),
  allow: z.array(z.enum(actions)).min(1),
});

const topicRule = z.strictObject({
  pattern,
  history_size: z.int().min(0).max(10_000_000).optional(),
  history_ttl_secs: z.int().min(1).optional(),
  idempotency_window_secs: z.int().min(1).optional(),
});

/** As many as the hash of HS256 has (RFC 7518, section 3.2). */
const secretBytesMin = 32;

/** The settings as written in the TOML file or, as `RTC_SECTION_KEY`, in the environment. */
export const settingsSchema = z
  .strictObject({
    server: z
      .strictObject({
        host: setting(text('0.0.0.0'), 'Address to listen on.'),
        port: setting(z.int().min(0).max(65_535).default(8081), 'Port to listen on; 0 for any free port.'),
        replica_id: setting(
          optionalText(),
          'Name of this replica, unique in the cluster. Default: host name and a random suffix.',
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
                .refine(
                  isProxyNetwork,
                  'must be an address, a network such as 10.0.0.0/8, loopback or private',
                ),
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
        shutdown_timeout_ms: setting(positive(10_000), 'After SIGTERM the process ends within this time.'),
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
      .prefault({}),
    websocket: z
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
          z.array(z.string()).default(['*']),
          'Origins of web pages that may connect; `*` for any.',
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
          'Bytes of the unanswered commands of all connections; with more, connections that hold much of them are not read.',
        ),
        max_unjoined: setting(
          count(1000),
          'Clients that are connected and have not authenticated yet; half of it for one address. Handshakes of others wait. 0 for no limit.',
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
      .prefault({}),
    auth: z
      .strictObject({
        jwt_secret: setting(optionalText(), 'Secret of HS256 tokens.'),
        public_key_file: setting(optionalText(), 'PEM file with the public key of RS256 or ES256 tokens.'),
        jwks_file: setting(optionalText(), 'JWKS file with public keys, selected by `kid`.'),
        issuer: setting(optionalText(), 'Required `iss` claim.'),
        audience: setting(optionalText(), 'Required `aud` claim.'),
        require_exp: setting(
          z.enum(['off', 'on']).default('off'),
          'Whether tokens without expiry (claim `exp`) are refused.',
        ),
        max_token_ttl_secs: setting(
          count(0, 315_360_000),
          'Access tokens that expire later than this, and those that never expire, are refused; 0 for no limit.',
        ),
        leeway_secs: setting(count(60, 3600), 'Tolerance for clock differences.'),
        token_notice_secs: setting(
          count(60, 86_400),
          'Clients receive `token_expiring` this long before their token expires.',
        ),
        access_token_ttl_secs: setting(
          positive(900, 86_400),
          'Lifetime of access tokens that the service issues.',
        ),
        refresh_token_ttl_secs: setting(
          positive(2_592_000, 31_536_000),
          'Lifetime of refresh tokens that the service issues.',
        ),
      })
      .prefault({}),
    permissions: setting(
      z.array(permission).default([{ role: '*', topics: ['*'], allow: [...actions] }]),
      'Allowed actions per role and topic: a list of `{ role, topics, allow }`; role `*` is every user.',
    ),
    redis: z
      .strictObject({
        url: setting(
          redisAddress.optional(),
          'Address of Redis. Without it the service runs alone, in memory.',
        ),
        key_prefix: setting(text('rtc'), 'Prefix of every key and channel.'),
        command_timeout_ms: setting(
          positive(2000),
          'Redis counts as stalled when a command is unanswered for this long.',
        ),
        stall_limit_ms: setting(positive(15_000), 'A stall of this length closes the connection to Redis.'),
        outcome_limit_ms: setting(
          positive(30_000),
          'The outcome of an interrupted publish is looked up for this long.',
        ),
        reserved_memory_percent: setting(
          count(10, 40),
          'Share of the `maxmemory` of Redis that publishes never use, so that changes of operators, revocations and sessions can still be stored. When less than twice this share is free, each user may add only a small part of what is left. 0: publishes may fill Redis.',
        ),
        wait_replicas: setting(
          count(0, 16),
          'Number of Redis replicas that must hold a message before it is acknowledged.',
        ),
      })
      .prefault({}),
    topics: z
      .strictObject({
        history_size: setting(count(10_000, 10_000_000), 'Messages kept per topic.'),
        history_ttl_secs: setting(positive(3600), 'History expires this long after the last message.'),
        idempotency_window_secs: setting(positive(300), 'A repeated `key` is recognised for this long.'),
        idempotency_scope: setting(
          z.enum(['sender', 'topic']).default('sender'),
          'Whom a `key` belongs to: the topic and the sender, or, with `topic`, the topic alone, so that several senders can publish the same message once. Then a sender can take a key away from the others.',
        ),
        position_check_secs: setting(
          positive(25, 3600),
          'A quiet topic is compared with its log this often.',
        ),
        fanout_window_ms: setting(
          count(5, 1000),
          'A busy topic collects messages for this long before it writes them.',
        ),
        fanout_window_max_ms: setting(
          count(100, 5000),
          'Longest time to collect messages when a write to all subscribers is expensive.',
        ),
        memory_bytes: setting(
          positive(268_435_456, 1_000_000_000_000),
          'Without Redis: memory of all histories and inboxes. When it is used up, the oldest messages of the largest histories are removed early.',
        ),
        max_history_answer: setting(
          positive(1000, 10_000),
          'Largest number of messages in one answer of `history` or `missed`.',
        ),
        max_history_answer_bytes: setting(
          positive(524_288, 16_777_216),
          'Largest answer of `history`, `missed`, `presence` or a list of `/admin`, in bytes; a larger message comes alone. `next` in the answer continues it.',
        ),
        catch_up_cache_bytes: setting(
          count(33_554_432),
          'Memory for blocks of logs that many slow readers read.',
        ),
        rules: setting(
          z.array(topicRule).default([]),
          'Different history settings by topic pattern; the first match applies.',
        ),
      })
      .prefault({}),
    outbox: z
      .strictObject({
        limit_messages: setting(positive(1000), 'Messages that may wait for one connection.'),
        limit_bytes: setting(positive(1_048_576), 'Bytes that may wait for one connection.'),
        total_bytes: setting(
          positive(268_435_456),
          'Bytes that may wait for all connections of the replica.',
        ),
        answer_total_bytes: setting(
          positive(16_777_216),
          'Bytes of large answers (`history`, `missed`, `presence`, lists of `/admin`) under way for all callers; one user may have a quarter. Further ones wait up to five seconds, then are refused with `busy`.',
        ),
        answer_timeout_secs: setting(
          positive(60, 3600),
          'A large HTTP answer that its client has not read within this time is aborted.',
        ),
        overflow_strategy: setting(
          z.enum(['catch_up', 'drop_oldest', 'drop_newest', 'disconnect']).default('catch_up'),
          'Treatment of slow readers.',
        ),
      })
      .prefault({}),
    actor_system: z
      .strictObject({
        mailbox_capacity: setting(positive(1000), 'Publishes that may wait per topic and replica.'),
        overflow_strategy: setting(
          z.enum(['reject', 'drop_oldest']).default('reject'),
          'A full mailbox refuses the new publish (`reject`) or the oldest one (`drop_oldest`).',
        ),
        batch_max: setting(positive(500, 10_000), 'Largest number of messages in one append.'),
        idle_secs: setting(positive(60, 86_400), 'An actor without traffic is removed after this time.'),
        max_restarts: setting(
          count(5, 1000),
          'An actor that fails more often than this within `restart_window_secs` is stopped.',
        ),
        restart_window_secs: setting(positive(60, 3600), 'Failures are counted over this time.'),
        restart_backoff_ms: setting(
          positive(50, 60_000),
          'Wait before the first restart; it doubles with each failure, up to ten seconds.',
        ),
        hook_timeout_ms: setting(
          positive(1000, 60_000),
          'A hook of the embedding program that takes longer counts as failed.',
        ),
        pool_size: setting(
          positive(4, 64),
          'Number of slow tasks (webhooks, backups) that run at the same time.',
        ),
      })
      .prefault({}),
    limits: z
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
          'Handshakes per second from one address, of IPv6 from one /64; loopback is exempt in `development`; 0 for no limit.',
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
          count(67_108_864),
          'Bytes of unfinished request bodies, all requests of this replica together; one caller may hold a quarter of it; 0 for no limit.',
        ),
      })
      .prefault({}),
    direct: z
      .strictObject({
        confirm_timeout_ms: setting(
          positive(2000, 60_000),
          'Time to wait for a confirmed delivery, unless the request sets one.',
        ),
        inbox_size: setting(
          positive(1000),
          'Unacknowledged direct messages kept per user; more are refused.',
        ),
        inbox_bytes: setting(
          positive(8_388_608),
          'Bytes of unacknowledged direct messages kept per user; more are refused.',
        ),
        inbox_sender_percent: setting(
          z.int().min(1).max(100).default(50),
          'Share of one sender in `inbox_size` and `inbox_bytes`, so that nobody can fill the inbox of another user alone; 100 for no such limit.',
        ),
        inbox_ttl_secs: setting(
          positive(86_400),
          'The direct messages of a user expire this long after the last one.',
        ),
      })
      .prefault({}),
    sessions: z
      .strictObject({
        ttl_secs: setting(positive(3600), 'A session can be resumed for this long.'),
        max_per_user: setting(
          count(10_000),
          'Sessions kept of one user whose clients are not connected; of more, the oldest are dropped: they cannot be resumed. 0 for no limit.',
        ),
        max_bytes_per_user: setting(
          count(16_777_216),
          'Bytes of these sessions of one user, approximately; of more, the oldest are dropped. 0 for no limit.',
        ),
        memory_bytes: setting(
          positive(67_108_864, 1_000_000_000_000),
          'Without Redis: memory of all sessions whose clients are not connected, approximately. When it is used up, the oldest sessions of the users with most of it are dropped.',
        ),
      })
      .prefault({}),
    admin: z
      .strictObject({
        audit_size: setting(
          positive(10_000, 1_000_000),
          'Approximate number of changes kept in the audit log, and of summed up refusals beside them.',
        ),
        call_timeout_ms: setting(
          positive(2000, 60_000),
          'A replica that does not answer a call within this time is listed in `silent_replicas`.',
        ),
        alert_webhook_url: setting(webAddress.optional(), 'Alerts are posted here as JSON.'),
      })
      .prefault({}),
    tracing: z
      .strictObject({
        sample_per_sec: setting(
          count(10, 100_000),
          'Messages sampled for traces per second and replica; 0 for none.',
        ),
        forced_per_sec: setting(
          positive(1000, 100_000),
          'Largest number of messages traced per second and replica on request of an operator or their sender.',
        ),
        user_forced_per_sec: setting(
          positive(10, 100_000),
          'Largest number of messages traced per second and replica on request of one sender, so that nobody pushes the traces of others out of the ring.',
        ),
        ring_size: setting(positive(10_000, 1_000_000), 'Trace events kept per replica.'),
        otlp_endpoint: setting(
          webAddress.optional(),
          'OpenTelemetry collector (OTLP over HTTP) that traces are sent to.',
        ),
      })
      .prefault({}),
    logging: z
      .strictObject({
        level: setting(
          z.string().refine(isLogFilter, logFilterRule).default('info'),
          'Log filter: a level, or levels by module such as `routing=debug,info`.',
        ),
        format: setting(z.enum(['json', 'pretty']).default('json'), '`pretty` is easier to read for people.'),
      })
      .prefault({}),
  })
  .refine(
    ({ server, auth: { jwt_secret: secret } }) =>
      server.environment !== 'production' ||
      secret === undefined ||
      Buffer.byteLength(secret) >= secretBytesMin,
    {
      path: ['auth', 'jwt_secret'],
      error: `must have at least ${secretBytesMin} bytes in production: make one by openssl rand -base64 32`,
    },
  );

/** The settings as written, with every default filled in. */
export type WrittenSettings = z.output<typeof settingsSchema>;

type CamelCase<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;

type CamelCased<Value> = Value extends readonly (infer Item)[]
  ? readonly CamelCased<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value & string as CamelCase<Key>]: CamelCased<Value[Key]> }
    : Value;

/** The settings as the code reads them: camelCase and frozen. */
export type Settings = CamelCased<WrittenSettings>;

/** Short names of environment variables, and their settings. */
export const shortNames: Readonly<Record<string, readonly [section: string, key: string]>> = {
  HOST: ['server', 'host'],
  PORT: ['server', 'port'],
  NODE_ENV: ['server', 'environment'],
  REPLICA_ID: ['server', 'replica_id'],
  JWT_SECRET: ['auth', 'jwt_secret'],
  REDIS_URL: ['redis', 'url'],
  RUST_LOG: ['logging', 'level'],
  LOG_LEVEL: ['logging', 'level'],
  LOG_FORMAT: ['logging', 'format'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['tracing', 'otlp_endpoint'],
};
