/** Who a connection or request is, as its verified token says. */
export interface Identity {
  readonly userId: string;
  readonly roles: readonly string[];
  /** Topic patterns the token restricts this identity to; undefined: whatever the roles allow. */
  readonly topics?: readonly string[];
  /** Topics the service subscribes the connection to by itself: those of `topics` that are names, not patterns. */
  readonly autoSubscribe: readonly string[];
  /** `jti` of the token, if it has one. */
  readonly tokenId?: string;
  /** Tokens of one login have one family (claim `fam` of tokens that this service has issued). */
  readonly familyId?: string;
  /** Issued and expiry times in seconds since 1970; undefined: the token does not say. */
  readonly issuedAt?: number;
  readonly expiresAt?: number;
}

/** What a permission rule can allow. */
export type Action = 'subscribe' | 'publish' | 'history' | 'presence' | 'direct';
