import { dangersOf, listensToOthers, type Danger } from '../config/dangers.js';
import { userQuotas } from '../config/hardened.js';
import type { Settings } from '../config/schema.js';
import type { Log } from '../logging/log.js';

/**
 * Warns of settings that are dangerous on the internet: in production each of them, in development one line if other machines can
 * connect.
 *
 * @param generatedSecret whether the token secret was made for this run
 */
export function warnOfDangers(settings: Settings, generatedSecret: boolean, log: Log): void {
  const { environment, host } = settings.server;
  const dangers = warnedDangers(dangersOf(settings));
  if (environment === 'production') {
    for (const { setting, present, risk, remedy } of dangers)
      log.warn('Dangerous setting', { setting, present, risk, remedy });
    return;
  }
  if (environment !== 'development' || !listensToOthers(settings)) return;
  log.warn('Not for the internet', {
    host,
    generated_secret: generatedSecret,
    settings: dangers.map(({ setting }) => setting),
    remedy: 'set HOST=127.0.0.1; or NODE_ENV=production and what rtc config check --profile hardened says',
  });
}

/** A limit above that of the profile is no danger yet: rtc config check names it. Missing quotas are one danger together. */
function warnedDangers(dangers: readonly Danger[]): Danger[] {
  const present = dangers.filter(({ isOff }) => isOff);
  const others = present.filter(({ setting }) => !userQuotas.includes(setting));
  if (present.length - others.length < userQuotas.length) return others;
  return [...others, noUserQuotas];
}

const noUserQuotas: Danger = {
  setting: 'limits.user_stored_bytes',
  present: 0,
  isOff: true,
  risk: 'one user can fill the histories and the memory, because no quota of users is set',
  remedy: `set what one user may do: ${userQuotas.join(', ')}`,
};
