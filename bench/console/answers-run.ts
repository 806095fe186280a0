import { parseArgs } from 'node:util';
import { CrowdedService } from './admin-answers.js';

/**
 * What the admin API answers with very many connections and topics, all of them in this process: the size of each answer, how long it takes, and how
 * long the event loop does nothing else meanwhile. Exit code 1: above a limit.
 *
 *   npm run bench:answers -- --connections 20000 --topics-of-each 5
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '20000' },
    'topics-of-each': { type: 'string', default: '5' },
    times: { type: 'string', default: '5' },
  },
});

const limits = { bytes: 256_000, ms: 200, stallMs: 50 };

async function main(): Promise<void> {
  const [connections, topicsOfEach, times] = [values.connections, values['topics-of-each'], values.times].map(
    Number,
  ) as [number, number, number];
  const crowded = await CrowdedService.start({ connections, topicsOfEach });
  try {
    const answers = [];
    for (const path of await crowded.paths()) {
      // What has never run takes several times as long.
      await crowded.answerOf(path, 2);
      const { slowestMs, cpuMs, stallMs, ...answer } = await crowded.answerOf(path, times);
      answers.push({
        ...answer,
        slowest_ms: Math.round(slowestMs),
        cpu_ms: Math.round(cpuMs),
        stall_ms: Math.round(stallMs),
      });
    }
    for (const answer of answers) console.log(JSON.stringify(answer));
    const above = answers.filter(
      (one) => one.bytes > limits.bytes || one.slowest_ms > limits.ms || one.stall_ms > limits.stallMs,
    );
    console.log(
      JSON.stringify({
        connections,
        topics: connections * topicsOfEach,
        answers: answers.length,
        largest_bytes: Math.max(...answers.map(({ bytes }) => bytes)),
        most_cpu_ms: Math.max(...answers.map((one) => one.cpu_ms)),
        slowest_ms: Math.max(...answers.map((one) => one.slowest_ms)),
        longest_stall_ms: Math.max(...answers.map((one) => one.stall_ms)),
        above_a_limit: above.map(({ path }) => path),
      }),
    );
    if (above.length > 0 || answers.some(({ status }) => status !== 200)) process.exitCode = 1;
  } finally {
    await crowded.close();
  }
}

void main();
