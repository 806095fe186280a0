/** Levels in order, with pino's numbers. */
export const logLevels = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, off: 100 } as const;

export type LogLevel = keyof typeof logLevels;

/** The root of every target. A filter may leave it out. */
export const targetRoot = 'realtime_communication';

interface Directive {
  readonly target: string;
  readonly level: number;
}

/**
 * A level, or directives by module: `debug`, or `routing=debug,info`. The longest matching module decides; modules that do not exist are
 * allowed and match nothing. The form of `RUST_LOG` means the same: `realtime_communication::routing=debug,info`.
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
export const logFilterRule = `must be a level (${Object.keys(logLevels).join(', ')}), or directives by module such as routing=debug,info`;

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
    return level === undefined || !/^[\w:]+$/.test(target)
      ? undefined
      : { target: fullTarget(target), level };
  }
  const level = levelOf(target);
  if (level !== undefined) return { target: '', level };
  // A target alone means all of its lines. One plain word is rather a misspelt level.
  return /^\w[\w:]*\w$/.test(target) && /\w(?:_|::)\w/.test(target)
    ? { target: fullTarget(target), level: logLevels.trace }
    : undefined;
}

/** A target as it is in the log, where the filter may name the module alone. */
function fullTarget(name: string): string {
  return name === targetRoot || name.startsWith(`${targetRoot}::`) ? name : `${targetRoot}::${name}`;
}
