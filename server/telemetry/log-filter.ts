/** Levels in order, with pino's numbers. */
export const logLevels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, off: 100 } as const;

export type LogLevel = keyof typeof logLevels;

/** The root of every target: the targets and filters of the guide use it. */
export const targetRoot = 'realtime_communication';

/**
 * A filter in the form of `RUST_LOG`: `debug`, or `realtime_communication::routing=debug,warn`. The longest matching target decides;
 * targets that are not ours are allowed and match nothing.
 */
export class LogFilter {
  private readonly directives: { target: string; level: number }[];

  /** @throws Error naming the directive that cannot be read. */
  constructor(readonly text: string) {
    this.directives = text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map(readDirective)
      .sort((a, b) => b.target.length - a.target.length);
  }

  /** The least level that a target writes. */
  levelOf(target: string): number {
    const match = this.directives.find(
      (one) => one.target === '' || target === one.target || target.startsWith(`${one.target}::`),
    );
    return match?.level ?? logLevels.info;
  }
}

function readDirective(text: string): { target: string; level: number } {
  const [left, right] = text.split('=') as [string, string?];
  const name = (right ?? left).toLowerCase();
  if (Object.hasOwn(logLevels, name))
    return { target: right === undefined ? '' : left, level: logLevels[name as LogLevel] };
  if (right === undefined && /^[a-z0-9_:]+$/i.test(left)) return { target: left, level: logLevels.trace };
  throw new Error(
    `log filter ${JSON.stringify(text)}: a level is one of ${Object.keys(logLevels).join(', ')}`,
  );
}
