import type { Check, DoctorCode } from '../codes.js';

/**
 * Why Redis does not take what is written. Some of these codes are also used for what only may happen: then they are a warning, which explains
 * nothing. Little memory already refuses large messages.
 */
const refusing: ReadonlyMap<DoctorCode, readonly Check['level'][]> = new Map([
  ['RTC-REDIS-01', ['failure']],
  ['RTC-REDIS-02', ['failure']],
  ['RTC-REDIS-03', ['warning', 'failure']],
  ['RTC-REDIS-06', ['failure']],
  ['RTC-REDIS-07', ['failure']],
  ['RTC-REDIS-08', ['failure']],
]);

/** Whether a finding about Redis explains that the service refuses messages, connections or tokens with `unavailable`. */
export function explainsRefusals({ code, level }: Check): boolean {
  return code !== null && (refusing.get(code)?.includes(level) ?? false);
}

/** Whether a finding explains answers and messages that come late or not at all. */
export function explainsSilence({ code, level }: Check): boolean {
  return (
    code === 'RTC-CAPACITY-03' ||
    (level === 'failure' && ['RTC-REDIS-01', 'RTC-REDIS-02', 'RTC-REDIS-08'].includes(code ?? ''))
  );
}
