import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { activityOf } from '../../../bench/capacity/activity.js';
import { calibrationOf, defaultLimits, readMeasured } from '../../../bench/capacity/calibration.js';
import { nonNegativeLeastSquares } from '../../../bench/capacity/fit.js';
import { loadOf, size } from '../../../bench/capacity/model.js';
import { readArguments } from '../../../bench/capacity/options.js';
import { checkTable, comparisonOf, sizingTable } from '../../../bench/capacity/report.js';

const root = join(__dirname, '..', '..', '..');

/** Processor time is measured in hundredths of a second, over five seconds. */
const resolutionCores = 0.004;

describe('the model of capacity', function () {
  this.timeout(60_000);
  const measured = readMeasured(join(root, 'bench', 'capacity', 'measured.json'));
  const calibration = calibrationOf(measured);
  const chat = {
    connections: 100_000,
    topics: 25_000,
    subscribersPerTopic: 20,
    publishersPerTopic: 20,
    publishesPerSec: 1000,
    payloadBytes: 200,
    connectsPerSec: 100,
  };

  it('is within 20 % of most points that it does not follow from, and within 35 % of all', () => {
    const errors = measured.points
      .filter(({ use }) => use === 'blind check')
      .flatMap((point) => {
        const { replicas, redis } = comparisonOf(point, calibration);
        const off = Math.max(0, Math.abs(redis.cores - point.redisCores) - resolutionCores);
        return [Math.abs(replicas.error), off / point.redisCores];
      });
    assert.ok(errors.length >= 16);
    assert.ok(errors.filter((error) => error <= 0.2).length >= 0.85 * errors.length, String(errors));
    assert.ok(Math.max(...errors) <= 0.35, String(errors));
  });

  it('gives more replicas to more connections, and never one that is over its limits', () => {
    let before = 0;
    for (const connections of [1e3, 1e5, 1e6, 3e6]) {
      const scale = connections / chat.connections;
      const sizing = size(
        { ...chat, connections, topics: chat.topics * scale, publishesPerSec: chat.publishesPerSec * scale },
        calibration,
        defaultLimits,
      );
      assert.ok('load' in sizing);
      assert.ok(sizing.workload.replicas >= before);
      assert.ok(sizing.load.replicaCores <= defaultLimits.cores);
      assert.ok(sizing.load.replicaMemoryBytes <= defaultLimits.replicaMemoryBytes);
      before = sizing.workload.replicas;
    }
  });

  it('says what is full when no number of replicas is enough', () => {
    const sizing = size(
      { ...chat, topics: 1, subscribersPerTopic: 100_000, publishesPerSec: 10_000_000 },
      calibration,
      defaultLimits,
    );
    assert.ok('saturated' in sizing && sizing.times > 1);
  });

  it('counts nothing for a service without clients but its replicas', () => {
    const idle = { connections: 0, topics: 0, subscribersPerTopic: 0, publishersPerTopic: 1 };
    const activity = activityOf(
      { ...idle, publishesPerSec: 0, payloadBytes: 0, connectsPerSec: 0, replicas: 3 },
      calibration,
    );
    const { replicas, replicaPairs, ...rest } = activity;
    assert.deepEqual([replicas, replicaPairs], [3, 9]);
    assert.deepEqual(new Set(Object.values(rest)), new Set([0]));
    assert.equal(loadOf({ ...chat, connections: 0, replicas: 2 }, calibration).connectionsOfReplica, 0);
  });

  it('finds the factors of a sum, and none below zero', () => {
    const rows = [
      [1, 2, 0],
      [3, 1, 1],
      [0, 1, 4],
      [2, 2, 2],
    ];
    const targets = rows.map(([a, b, c]) => 2 * a! + 5 * b! + 0 * c!);
    nonNegativeLeastSquares(rows, targets).forEach((value, i) =>
      assert.ok(Math.abs(value - [2, 5, 0][i]!) < 1e-3),
    );
    assert.deepEqual(nonNegativeLeastSquares([[1]], [-1]), [0]);
  });

  it('is shown in docs/scaling.md as it is', () => {
    const page = readFileSync(join(root, 'docs', 'scaling.md'), 'utf8');
    const between = (name: string) =>
      new RegExp(`<!-- ${name} -->\n+(.*?)\n+<!-- /${name} -->`, 's').exec(page)?.[1];
    const remedy = 'npm run simulate -- --write-docs';
    const checks = measured.points.filter(({ use }) => use === 'blind check');
    assert.equal(between('check'), checkTable(checks, calibration), remedy);
    assert.equal(between('table'), sizingTable(calibration, defaultLimits), remedy);
  });

  it('is not asked for what no deployment can have', () => {
    const refused: readonly (readonly [args: string, problem: RegExp])[] = [
      [
        '--connections 5',
        /^Error: --subscribers-per-topic must be a number from 0 to 5, the number of connections$/,
      ],
      ['--connections 2.5 --subscribers-per-topic 1', /--connections must be a whole number/],
      ['--topics 0', /--topics must be a number of at least 1/],
      ['--topics 0.5 --rate 0', /--topics must be a whole number/],
      ['--replicas 2.5', /--replicas must be a whole number/],
      ['--replicas 0', /--replicas must be a number of at least 1/],
      ['--publishers-per-topic 1.5', /--publishers-per-topic must be a whole number/],
      ['--utilisation 5', /--utilisation must be a number from 0.01 to 1/],
      ['--rate=-1', /--rate must be a number of at least 0/],
      ['--payload-bytes x', /--payload-bytes must be a number/],
      ['--connects-per-sec=', /--connects-per-sec must be a number/],
      ['--calibrate --only nothing', /no point has "nothing" in its name/],
      ['--only blind', /--only needs --calibrate/],
      ['--sessions 5', /--sessions/],
    ];
    for (const [args, problem] of refused) assert.throws(() => readArguments(args.split(' ')), problem, args);
  });

  it('is asked for what one can have: without topics, with a share of a subscriber, on the whole of a core', () => {
    const args = '--topics 0 --rate 0 --subscribers-per-topic 0.5 --utilisation 1 --replicas 3'.split(' ');
    const { workload, limits, replicas } = readArguments(args);
    const { topics, subscribersPerTopic, connections } = workload;
    assert.deepEqual([topics, subscribersPerTopic, connections], [0, 0.5, 10_000]);
    assert.deepEqual([limits.cores, replicas], [1, 3]);
    assert.ok('load' in size(workload, calibration, limits));
  });
});
