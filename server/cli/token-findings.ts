/** What is wrong with a token. `rtc doctor` uses the same codes. */
export interface TokenFinding {
  /** Stable; an anchor in docs/troubleshooting.md. */
  readonly code: string;
  readonly cause: string;
  /** A command, or what to change. */
  readonly remedy: string;
}

/** Causes by the text of the service's refusal; the first that fits. A test compares them with the refusals of a service. */
const byMessage: readonly (readonly [RegExp, Omit<TokenFinding, 'cause'>])[] = [
  [
    /signed with another secret or key/,
    {
      code: 'RTC-TOKEN-03',
      remedy: `printf %s "$JWT_SECRET" | sha256sum   # compare with the one on the machine of the service`,
    },
  ],
  [
    /no key for its algorithm|critical extensions|is not signed/,
    { code: 'RTC-TOKEN-04', remedy: 'rtc config explain auth   # which keys the service has' },
  ],
  [
    /claim iat is in the future|time has not begun/,
    {
      code: 'RTC-TOKEN-05',
      remedy: 'timedatectl   # correct the clock of the machine that issues the tokens',
    },
  ],
  [
    /another audience|another issuer/,
    { code: 'RTC-TOKEN-06', remedy: 'rtc config explain auth   # auth.issuer and auth.audience' },
  ],
  [
    /not a JWT|no token|not UTF-8/,
    { code: 'RTC-TOKEN-01', remedy: 'export TOKEN=$(rtc token create --user ann)' },
  ],
];

/** The finding for a refusal of a token, by the service or by its verifier here. */
export function tokenFindingOf({
  code,
  message,
}: {
  readonly code: string;
  readonly message: string;
}): TokenFinding {
  if (code === 'token_expired')
    return { code: 'RTC-TOKEN-02', cause: message, remedy: 'export TOKEN=$(rtc token create --user ann)' };
  if (code === 'token_revoked')
    return { code: 'RTC-TOKEN-07', cause: message, remedy: 'log in again: a revoked token stays revoked' };
  const known = byMessage.find(([text]) => text.test(message))?.[1];
  if (known !== undefined) return { ...known, cause: message };
  return { code: 'RTC-TOKEN-08', cause: message, remedy: 'rtc token inspect "$TOKEN"   # shows its claims' };
}
