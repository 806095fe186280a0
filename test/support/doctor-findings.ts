import assert from 'node:assert/strict';
import { DoctorRig, type DoctorFault } from './doctor-rig.js';

/** A test for each fault: the doctor finds it, with a remedy, and nothing else. */
export function findsEach(faults: readonly DoctorFault[]): void {
  for (const fault of faults)
    it(`names ${fault.code} and a remedy, and no other code: ${fault.name}`, () => finds([fault]));
}

/** Starts a service with these faults, and compares the codes that the doctor finds. */
export async function finds(faults: readonly DoctorFault[]): Promise<void> {
  const rig = await DoctorRig.start(faults);
  try {
    const { codes, answer, result } = await rig.doctor();
    const shown = JSON.stringify(answer.checks, null, 1);
    assert.deepEqual(codes, faults.map(({ code }) => code).sort(), shown);
    for (const { code, remedy } of faults)
      assert.match(answer.checks.find((check) => check.code === code)?.remedy ?? '', remedy);
    // Of two faults, one may keep the other from becoming a failure: a message that is refused has no size.
    const exit = { well: 0, warnings: 1, failures: 2 }[answer.verdict as 'well' | 'warnings' | 'failures'];
    assert.equal(result.code, faults.length === 1 ? faults[0]!.exit : exit, shown);
  } finally {
    await rig.stop();
  }
}
