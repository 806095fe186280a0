/** Why there was no answer. */
export interface ConnectionProblem {
  /**
   * `timeout`: the time limit was over. `no_tls`, `no_http`: something answers, in another protocol. `closed`: it closes the connection instead of
   * an answer.
   */
  readonly kind: 'timeout' | 'unreachable' | 'no_tls' | 'no_http' | 'closed';
  /** In words. */
  readonly reason: string;
}

interface Failure {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly cause?: unknown;
  readonly errors?: readonly Failure[];
}

/** Reads an error of `fetch`, of Node's HTTP and TLS, or of ws. */
export function connectionProblemOf(error: unknown, timeoutMs: number): ConnectionProblem {
  const failure = error as Failure;
  const inner = failure.cause instanceof Error ? (failure.cause as Failure) : failure;
  // A name with several addresses: each has its own reason.
  const all = inner.errors ?? [inner];
  const codes = all.map(({ code = '' }) => code);
  const texts = all.map(({ message = '' }) => message).filter((text) => text !== '');
  const isTimeout =
    ['TimeoutError', 'AbortError'].includes(failure.name ?? '') ||
    texts.some((text) => text === 'Opening handshake has timed out');
  if (isTimeout) return { kind: 'timeout', reason: `no answer within ${timeoutMs} ms` };
  const reason = texts.join(', ') || codes.join(', ') || String(error);
  if (codes.some((code) => /TIMEDOUT|_TIMEOUT$/.test(code))) return { kind: 'timeout', reason };
  if (
    codes.includes('ERR_SSL_WRONG_VERSION_NUMBER') ||
    /wrong version number|packet length too long/.test(reason)
  )
    return { kind: 'no_tls', reason: 'what is there does not speak TLS' };
  if (codes.some((code) => code.startsWith('HPE_')) || /does not match the HTTP|^Parse Error/.test(reason))
    return { kind: 'no_http', reason: 'what is there does not speak HTTP' };
  if (/socket hang up|other side closed/.test(reason))
    return { kind: 'closed', reason: 'the connection was closed instead of an answer' };
  return { kind: 'unreachable', reason };
}
