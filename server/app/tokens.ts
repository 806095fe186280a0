import { v7 as uuidV7 } from 'uuid';
import type { Identity } from '../protocol/identity.js';
import { RefreshService } from '../auth/refresh-service.js';
import { closeRevoked } from '../auth/revocation-sweep.js';
import { Revocations } from '../auth/revocations.js';
import { TokenIssuer } from '../auth/token-issuer.js';
import { readKeys } from '../auth/token-keys.js';
import { TokenVerifier } from '../auth/token-verifier.js';
import { TokenWatch } from '../auth/token-watch.js';
import type { Storage } from '../storage/storage.js';
import { SettingsError } from '../config/load.js';
import type { Settings } from '../config/schema.js';
import { ReplicatedMap } from '../cluster/replicated-map.js';
import type { LogFactory } from '../logging/log.js';
import { systemClock } from '../primitives/clock.js';
import type { TokenHolder } from '../protocol/connection.js';

interface TokenParts {
  readonly settings: Settings;
  /** Secret of HS256 tokens; undefined if there are only public keys. */
  readonly secret: string | undefined;
  readonly storage: Storage;
  readonly logOf: LogFactory;
}

/** Issues, verifies, refreshes and revokes tokens. */
export interface Tokens {
  readonly authenticate: (token: string) => Identity;
  /** Undefined without a secret to sign with. */
  readonly issuer: TokenIssuer | undefined;
  readonly verifier: TokenVerifier;
  readonly refreshes: RefreshService;
  readonly revocations: Revocations;
  /** @throws RefusalError `token_revoked` */
  checkRevoked(identity: Identity): void;
  /** Whether the revocations have been read from the store once: until then no token is accepted. */
  readonly isKnown: () => boolean;
  /** Reads the revocations from the store. */
  read(): Promise<void>;
  /** Starts to check the tokens of live connections. */
  watch(connections: () => Iterable<TokenHolder>): void;
  close(): void;
}

/**
 * A replica that misses the message about a revocation finds the revocation within this time, in
 * milliseconds.
 */
const revocationCheckMs = 500;

/** The token issuer for these settings. */
export function tokenIssuer({ auth }: Settings, secret: string): TokenIssuer {
  return new TokenIssuer(
    { secret, newId: uuidV7, now: Date.now },
    {
      issuer: auth.issuer,
      audience: auth.audience,
      accessTtlSecs: auth.accessTokenTtlSecs,
      refreshTtlSecs: auth.refreshTokenTtlSecs,
    },
  );
}

/** Assembles the token parts. @throws SettingsError if a key cannot be used */
export function assembleTokens({ settings, secret, storage, logOf }: TokenParts): Tokens {
  const { auth } = settings;
  const now = Date.now;
  const log = logOf('auth');
  const map = new ReplicatedMap(
    { store: storage.shared, bus: storage.bus, log },
    { name: 'revocations', checkMs: revocationCheckMs },
  );
  storage.onUp(() => void map.read());
  const revocations = new Revocations(
    { map, clock: systemClock },
    { keepSecs: auth.refreshTokenTtlSecs, leewaySecs: auth.leewaySecs },
  );
  const verifier = makeVerifier(settings, secret, revocations.checkedIsRevoked);
  const issuer = secret === undefined ? undefined : tokenIssuer(settings, secret);
  // The repetition of a refresh may reach another replica than the first one: one clock for all.
  const refreshes = new RefreshService({
    issuer,
    verifier,
    revocations,
    store: storage.shared,
    log,
    now: storage.now,
  });
  let watch: TokenWatch | undefined;
  return {
    authenticate: (token) => verifier.verify(token),
    checkRevoked: (identity) => verifier.unlessRevoked(identity),
    issuer,
    verifier,
    refreshes,
    revocations,
    isKnown: () => map.isKnown,
    read: () => map.read(),
    watch: (connections) => {
      closeRevoked(revocations, connections);
      watch = new TokenWatch(
        { connections, now },
        { leewaySecs: auth.leewaySecs, noticeSecs: auth.tokenNoticeSecs, sweepMs: 1000 },
      );
    },
    close: () => {
      map.close();
      revocations.close();
      watch?.close();
    },
  };
}

function makeVerifier(
  { auth }: Settings,
  jwtSecret: string | undefined,
  isRevoked: (identity: Identity) => boolean,
): TokenVerifier {
  try {
    const keys = readKeys({ jwtSecret, publicKeyFile: auth.publicKeyFile, jwksFile: auth.jwksFile });
    return new TokenVerifier(
      {
        keys,
        leewaySecs: auth.leewaySecs,
        requireExp: auth.requireExp === 'on',
        maxTtlSecs: auth.maxTokenTtlSecs,
        ...(auth.issuer !== undefined && { issuer: auth.issuer }),
        ...(auth.audience !== undefined && { audience: auth.audience }),
      },
      { isRevoked },
    );
  } catch (error) {
    throw new SettingsError([`auth: ${(error as Error).message}`]);
  }
}
