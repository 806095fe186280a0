import { z } from 'zod';
import { count, optionalText, positive, setting } from '../setting.js';

/** Tokens: which are accepted, and those that the service issues. */
export const auth = z
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
  .prefault({});
