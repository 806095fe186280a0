import type { Log } from '../../logging/log.js';
import type { RedisLink } from './redis-link.js';

/** Warns, once each, of settings of Redis under which promises of the service do not hold. */
export class RedisAdvice {
  private isGiven = false;

  constructor(private readonly dependencies: { readonly link: RedisLink; readonly log: Log }) {
    dependencies.link.onState((state) => {
      if (state === 'up' && !this.isGiven) void this.look();
    });
  }

  /** Never rejects. A Redis that does not show its settings is not judged. */
  private async look(): Promise<void> {
    const { link, log } = this.dependencies;
    try {
      const [save, appendOnly] = await Promise.all(
        ['save', 'appendonly'].map((name) => link.call<string[]>(['CONFIG', 'GET', name])),
      );
      if (this.isGiven || save?.[1] === undefined || appendOnly?.[1] === undefined) return;
      this.isGiven = true;
      if (save[1] === '' && appendOnly[1] === 'no')
        log.warn(
          'Redis keeps nothing on disk: when it restarts, messages, sessions and revocations are lost',
          {
            remedy: 'set appendonly yes in the configuration of Redis',
          },
        );
    } catch {
      // The link reports what is wrong with it.
    }
  }
}
