/**
 * Exit codes of `rtc`. `rtc doctor` and `rtc sessions` have their own meaning of 1 to 3, and `rtc start` ends with the codes of the service;
 * `docs/cli.md` has the table.
 */
export const exitCodes = {
  done: 0,
  /** The service refused, or the answer is not the one that was asked for. */
  failed: 1,
  /** An argument or a setting is wrong: nothing was done. */
  usage: 2,
  /** The service cannot be reached. */
  unreachable: 3,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
