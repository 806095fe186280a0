/** Levels in order, with pino's numbers. */
export const logLevels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, off: 100 } as const;

export type LogLevel = keyof typeof logLevels;

/** The root of every target: the targets and filters of the guide use it. */
export const targetRoot = 'realtime_communication';

interface Directive {
  readonly target: string;
  readonly level: number;
}

/**
 * A filter in the form of `RUST_LOG`: `debug`, or `realtime_communication::routing=debug,warn`. The longest matching target decides;
 * targets that are not ours are allowed and match nothing.
 */
export class LogFilter {
  private readonly directives: readonly Directive[];

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

/** What a filter looks like, for whoever gave a wrong one. */
export const logFilterRule = `must be a level (${Object.keys(logLevels).join(', ')}), or directives such as ${targetRoot}::routing=debug,warn`;

/** Whether a text can be given to {@link LogFilter}. */
export function isLogFilter(text: string): boolean {
  const parts = text.split(',').map((part) => part.trim());
  return (
    parts.some((part) => part !== '') &&
    parts.every((part) => part === '' || parseDirective(part) !== undefined)
  );
}

function readDirective(text: string): Directive {
  const directive = parseDirective(text);
  if (directive === undefined) throw new Error(`log filter ${JSON.stringify(text)}: ${logFilterRule}`);
  return directive;
}

function parseDirective(text: string): Directive | undefined {
  const [target, levelName, more] = text.split('=') as [string, string?, string?];
  if (more !== undefined) return undefined;
  const levelOf = (name: string) => {
    const level = name.toLowerCase();
    return Object.hasOwn(logLevels, level) ? logLevels[level as LogLevel] : undefined;
  };
  if (levelName !== undefined) {
    const level = levelOf(levelName);
    return level === undefined || !/^[\w:]+$/.test(target) ? undefined : { target, level };
  }
  const level = levelOf(target);
  if (level !== undefined) return { target: '', level };
  // A target alone means all of its lines. One plain word is rather a misspelt level.
  return /^\w+(_|::)\w[\w:]*$/.test(target) ? { target, level: logLevels.trace } : undefined;
}
