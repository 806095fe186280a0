import { parseArgs } from 'node:util';
import { planned } from './calibrate.js';
import type { Limits } from './model.js';
import type { Workload } from './workload.js';

export const usage = `npm run simulate -- [options]
  --connections N               clients (10000)
  --topics N                    topics that carry messages (1000)
  --subscribers-per-topic N     on average (10)
  --publishers-per-topic N      (10)
  --rate N                      acknowledged publishes per second, over all topics (1000)
  --payload-bytes N             length of a payload (200)
  --connects-per-sec N          new connections per second (connections / 600)
  --replicas N                  says what each replica does; without: how many are needed
  --utilisation SHARE           of a core, that a replica or a Redis process may use (0.6)
  --replica-memory-mib N        (2048)
  --network-mbit N              that a replica or a Redis process may send (1000)
  --table                       the sizing table of docs/scaling.md
  --check                       compares the model with every measured point
  --leave-out                   the same, each point computed from the others
  --calibrate                   measures all costs anew, on an idle machine; takes about 16 minutes
  --only TEXT                   with --calibrate: only points whose name contains the text, or of this use ('blind check')
  --write-docs                  writes the tables of docs/scaling.md
  --json                        the result as JSON`;

const options = {
  connections: { type: 'string', default: '10000' },
  topics: { type: 'string', default: '1000' },
  'subscribers-per-topic': { type: 'string', default: '10' },
  'publishers-per-topic': { type: 'string', default: '10' },
  rate: { type: 'string', default: '1000' },
  'payload-bytes': { type: 'string', default: '200' },
  'connects-per-sec': { type: 'string' },
  replicas: { type: 'string' },
  utilisation: { type: 'string', default: '0.6' },
  'replica-memory-mib': { type: 'string', default: '2048' },
  'network-mbit': { type: 'string', default: '1000' },
  table: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  'leave-out': { type: 'boolean', default: false },
  calibrate: { type: 'boolean', default: false },
  only: { type: 'string' },
  'write-docs': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

/** What `npm run simulate` is asked for. */
export interface Asked {
  readonly values: Values;
  readonly workload: Omit<Workload, 'replicas'>;
  readonly limits: Limits;
  /** Undefined: as many as are needed. */
  readonly replicas: number | undefined;
}

/**
 * Reads the arguments of `npm run simulate`.
 *
 * @throws Error for what is no option, or what no deployment can have: the model would compute something of it
 */
export function readArguments(args: readonly string[]): Asked {
  const { values } = parseArgs({ args: [...args], options });
  const { only } = values;
  if (only !== undefined && !values.calibrate) throw new Error('--only needs --calibrate');
  if (only !== undefined && planned(only).length === 0)
    throw new Error(`--only: no point has ${JSON.stringify(only)} in its name, or is of this use`);
  return {
    values,
    workload: workloadOf(values),
    limits: limitsOf(values),
    replicas: values.replicas === undefined ? undefined : whole(values, 'replicas', 1),
  };
}

function workloadOf(values: Values): Omit<Workload, 'replicas'> {
  const connections = whole(values, 'connections', 0);
  const publishesPerSec = number(values, 'rate', 0);
  return {
    connections,
    topics: whole(values, 'topics', publishesPerSec > 0 ? 1 : 0),
    subscribersPerTopic: number(values, 'subscribers-per-topic', 0, connections),
    publishersPerTopic: whole(values, 'publishers-per-topic', 1),
    publishesPerSec,
    payloadBytes: number(values, 'payload-bytes', 0),
    connectsPerSec:
      values['connects-per-sec'] === undefined ? connections / 600 : number(values, 'connects-per-sec', 0),
  };
}

function limitsOf(values: Values): Limits {
  const bytesPerSec = (number(values, 'network-mbit', 1) * 1e6) / 8;
  return {
    // A replica has one event loop, and Redis one thread for its commands.
    cores: number(values, 'utilisation', 0.01, 1),
    replicaMemoryBytes: number(values, 'replica-memory-mib', 1) * 2 ** 20,
    replicaSentBytesPerSec: bytesPerSec,
    redisSentBytesPerSec: bytesPerSec,
  };
}

function number(values: Values, name: keyof Values, min: number, max = Infinity): number {
  const text = String(values[name]);
  const value = text.trim() === '' ? NaN : Number(text);
  if (Number.isFinite(value) && value >= min && value <= max) return value;
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  const why = name === 'subscribers-per-topic' ? ', the number of connections' : '';
  throw new Error(`--${name} must be a number ${range}${why}`);
}

function whole(values: Values, name: keyof Values, min: number): number {
  const value = number(values, name, min);
  if (!Number.isInteger(value)) throw new Error(`--${name} must be a whole number`);
  return value;
}
