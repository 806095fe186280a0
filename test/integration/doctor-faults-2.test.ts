import { doctorFaults } from '../support/doctor-rig.js';
import { findsEach } from '../support/doctor-findings.js';

describe('[CLI] rtc doctor, on a service with one fault', function () {
  this.timeout(90_000);
  findsEach(doctorFaults.filter((_, i) => i % 2 === 1));
});
