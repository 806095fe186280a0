import { doctorFaults } from '../support/doctor-rig.js';
import { finds } from '../support/doctor-findings.js';
import { seededRandom } from '../../bench/seeded-random.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);

/** Pairs that can be there, and be seen, together. */
const pairs = doctorFaults.flatMap((one, i) =>
  doctorFaults
    .slice(i + 1)
    .filter((other) => !one.hides?.includes(other.name) && !other.hides?.includes(one.name))
    .map((other) => [one, other] as const),
);

describe(`[CLI] rtc doctor, on a service with two faults (SEED=${seed})`, function () {
  this.timeout(90_000);
  for (let n = 0; n < Number(process.env['PAIRS'] ?? 3); n++) {
    const [pair] = pairs.splice(random(pairs.length), 1);
    it(`finds both: ${pair![0].name}, ${pair![1].name}`, () => finds(pair!));
  }
});
