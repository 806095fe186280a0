import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** All processes of this run. They end with it, whatever happens. */
const children = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Makes a child end with this process. */
export function own(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.on('error', () => children.delete(child));
  return child;
}

/** Whether a process runs, stopped or not. */
export function isAlive(child: ChildProcess | undefined): boolean {
  return (
    child !== undefined && child.exitCode === null && child.signalCode === null && child.pid !== undefined
  );
}

/** Kills a process, also one that is stopped. Resolves when it has ended. */
export async function killNow(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || !isAlive(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
