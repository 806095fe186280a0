/** Lines with the same message per second. */
const linesPerSec = 50;
/** Messages are written in the code, so there are few. */
const messagesMax = 1000;

interface Window {
  startedAt: number;
  lines: number;
  leftOut: number;
}

/**
 * Limits lines with the same message. What a client can cause again and again must not fill the disk, even if it is a bug of ours
 * that is logged with its stack.
 */
export class LineLimit {
  private readonly windows = new Map<string, Window>();

  constructor(private readonly dependencies: { readonly now: () => number }) {}

  /** How many lines were left out since the last one, or undefined if this one is to be left out too. */
  admit(message: string): number | undefined {
    const now = this.dependencies.now();
    const window = this.windowOf(message, now);
    if (now - window.startedAt >= 1000) {
      window.startedAt = now;
      window.lines = 0;
    }
    if (++window.lines > linesPerSec) {
      window.leftOut++;
      return undefined;
    }
    const { leftOut } = window;
    window.leftOut = 0;
    return leftOut;
  }

  private windowOf(message: string, now: number): Window {
    let window = this.windows.get(message);
    if (window === undefined) {
      if (this.windows.size >= messagesMax) this.windows.clear();
      window = { startedAt: now, lines: 0, leftOut: 0 };
      this.windows.set(message, window);
    }
    return window;
  }
}
