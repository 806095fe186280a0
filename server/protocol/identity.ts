/** The user of a connection or request, from its verified token. */
export interface Identity {
  readonly userId: string;
  readonly roles: readonly string[];
  /** Topic patterns that the token restricts this identity to; undefined: only the roles decide. */
  readonly topics?: readonly string[];
  /** Topics that the service subscribes the connection to: the entries of `topics` that are names, not patterns. */
  readonly autoSubscribe: readonly string[];
  /** `jti` of the token, if it has one. */
  readonly tokenId?: string;
  /** All tokens of one login share a family (claim `fam` of tokens issued by this service). */
  readonly familyId?: string;
  /** Times of issue and expiry in seconds since 1970; undefined if the token has no such claim. */
  readonly issuedAt?: number;
  readonly expiresAt?: number;
}

/** What a permission rule can allow. */
export const actions = ['subscribe', 'publish', 'history', 'presence', 'direct'] as const;

export type Action = (typeof actions)[number];
