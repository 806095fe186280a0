import { z } from 'zod';
import { server } from './sections/server.js';
import { websocket } from './sections/websocket.js';
import { auth } from './sections/auth.js';
import { permissions } from './sections/permissions.js';
import { redis } from './sections/redis.js';
import { topics } from './sections/topics.js';
import { outbox } from './sections/outbox.js';
import { actorSystem } from './sections/actor-system.js';
import { hooks } from './sections/hooks.js';
import { limits } from './sections/limits.js';
import { direct } from './sections/direct.js';
import { sessions } from './sections/sessions.js';
import { admin } from './sections/admin.js';
import { tracing } from './sections/tracing.js';
import { logging } from './sections/logging.js';

/** As many as the hash of HS256 has (RFC 7518, section 3.2). */
const secretBytesMin = 32;

/** The settings as written in the TOML file or, as `RTC_SECTION_KEY`, in the environment. One file for each section. */
export const settingsSchema = z
  .strictObject({
    server,
    websocket,
    auth,
    permissions,
    redis,
    topics,
    outbox,
    actor_system: actorSystem,
    hooks,
    limits,
    direct,
    sessions,
    admin,
    tracing,
    logging,
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
