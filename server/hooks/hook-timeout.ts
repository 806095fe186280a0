/** A hook on a worker took too long: its worker is replaced, and nothing of it goes on. */
export class HookTimeoutError extends Error {
  override readonly name = 'HookTimeoutError';

  constructor(hook: string, limitMs: number) {
    super(`the hook ${hook} took more than ${limitMs} ms (actor_system.hook_timeout_ms)`);
  }
}
