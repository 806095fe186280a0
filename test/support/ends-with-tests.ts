import type { ChildProcess } from 'node:child_process';

const started = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL');
});

/** A child that a failed test leaves running is killed when the tests end, instead of outliving them. */
export function endsWithTests(child: ChildProcess): void {
  started.add(child);
  child.once('exit', () => started.delete(child));
}
