import { SingleBar } from 'cli-progress';

/** Shows the progress of a command. */
interface ProgressDisplay {
  /** `part` of the whole, 0 to 1; undefined if the whole is not known. */
  update(sessions: number, part?: number): void;
  /** Idempotent. */
  end(): void;
}

/** Number of sessions between two lines, without a terminal. */
const lineEvery = 25_000;

/** A bar on a terminal, otherwise a line from time to time, nothing if `quiet`. Writes to stderr, because stdout is for results. */
export function progressDisplay({ quiet }: { readonly quiet: boolean }): ProgressDisplay {
  if (quiet) return { update: () => {}, end: () => {} };
  return process.stderr.isTTY ? bar() : lines();
}

function bar(): ProgressDisplay {
  const shown = new SingleBar({ format: '{bar} {percentage}% | {sessions} sessions', hideCursor: true });
  const counting = new SingleBar({ format: '{sessions} sessions', hideCursor: true });
  let current: SingleBar | undefined;
  return {
    update: (sessions, part) => {
      if (current === undefined) {
        current = part === undefined ? counting : shown;
        current.start(1, 0, { sessions: 0 });
      }
      current.update(part ?? 0, { sessions });
    },
    end: () => current?.stop(),
  };
}

function lines(): ProgressDisplay {
  let shown = 0;
  return {
    update: (sessions, part) => {
      if (sessions < shown + lineEvery) return;
      shown = sessions;
      const percent = part === undefined ? '' : `, ${Math.floor(part * 100)}%`;
      process.stderr.write(`${sessions} sessions${percent}\n`);
    },
    end: () => {},
  };
}
