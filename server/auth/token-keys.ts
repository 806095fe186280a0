import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Algorithms of keys; each key is used with exactly one. */
type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256';

/** A key with the one algorithm it is used with. The algorithm in a token's header is not trusted. */
export interface TokenKey {
  readonly key: KeyObject;
  readonly algorithm: TokenAlgorithm;
  /** Key id that a token's header has to name; undefined for a key without one. */
  readonly keyId?: string;
}

/** Sources of keys; at least one is required. */
interface KeySources {
  readonly jwtSecret?: string | undefined;
  readonly publicKeyFile?: string | undefined;
  readonly jwksFile?: string | undefined;
}

/** RFC 7518, section 3.3. */
const smallestRsaBits = 2048;

/**
 * Reads the keys.
 *
 * @throws Error naming the file that cannot be read or holds no usable key.
 */
export function readKeys({ jwtSecret, publicKeyFile, jwksFile }: KeySources): TokenKey[] {
  return [
    ...(jwtSecret === undefined
      ? []
      : [{ key: createSecretKey(Buffer.from(jwtSecret)), algorithm: 'HS256' as const }]),
    ...(publicKeyFile === undefined ? [] : naming(publicKeyFile, () => [readPem(publicKeyFile)])),
    ...(jwksFile === undefined ? [] : naming(jwksFile, () => readJwks(jwksFile))),
  ];
}

function naming<Result>(file: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
}

function readPem(file: string): TokenKey {
  return asymmetric(createPublicKey(readFileSync(file)));
}

/**
 * The signature keys of a key set (RFC 7517) that are for one of our algorithms; key sets hold others too.
 */
function readJwks(file: string): TokenKey[] {
  const { keys } = JSON.parse(readFileSync(file, 'utf8')) as { keys?: readonly PublishedKey[] };
  if (!Array.isArray(keys)) throw new Error('there is no list "keys"');
  const usable = (keys as readonly PublishedKey[])
    .filter(({ use = 'sig', ...jwk }) => use === 'sig' && (jwk.alg ?? algorithmOf(jwk)) === algorithmOf(jwk))
    .filter((jwk) => algorithmOf(jwk) !== undefined)
    .map((jwk) => {
      const key = asymmetric(createPublicKey({ key: jwk, format: 'jwk' }));
      return jwk.kid === undefined ? key : { ...key, keyId: jwk.kid };
    });
  if (usable.length === 0) throw new Error('there is no key for RS256 or ES256 signatures');
  return usable;
}

function algorithmOf({ kty, crv }: JsonWebKey): TokenAlgorithm | undefined {
  if (kty === 'RSA') return 'RS256';
  return kty === 'EC' && crv === 'P-256' ? 'ES256' : undefined;
}

type PublishedKey = JsonWebKey & { readonly kid?: string; readonly use?: string; readonly alg?: string };

function asymmetric(key: KeyObject): TokenKey {
  if (key.asymmetricKeyType === 'rsa') {
    if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < smallestRsaBits)
      throw new Error(`an RSA key needs ${smallestRsaBits} bits or more`);
    return { key, algorithm: 'RS256' };
  }
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return { key, algorithm: 'ES256' };
  throw new Error('only RSA keys (RS256) and P-256 keys (ES256) can be used');
}
