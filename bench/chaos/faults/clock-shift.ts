// Loaded into a replica by `node --require`: its clock is CLOCK_SHIFT_MS milliseconds ahead (or behind, if negative). Timers and
// performance.now() are not affected, as on a machine whose clock is wrong. With CLOCK_JUMP_MS it jumps ahead by that at SIGUSR2, and back at
// the next one.
let shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? '0');
let jumpMs = Number(process.env['CLOCK_JUMP_MS'] ?? '0');
const RealDate = Date;
const realNow = Date.now.bind(Date);

class ShiftedDate extends RealDate {
  constructor(...values: readonly unknown[]) {
    if (values.length === 0) super(realNow() + shiftMs);
    else super(...(values as [number]));
  }

  static override now(): number {
    return realNow() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;

if (jumpMs !== 0)
  process.on('SIGUSR2', () => {
    shiftMs += jumpMs;
    jumpMs = -jumpMs;
  });
