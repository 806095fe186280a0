import type { SideName, Work } from '../processes.js';

/** A kind of work that is measured at several loads. */
export interface CurveWork {
  /** Short name, for `--work`. */
  readonly name: string;
  readonly title: string;
  readonly sides: readonly SideName[];
  /** Messages per second, ascending, from light to beyond what some sides can do. */
  readonly loads: readonly number[];
  /** The rest of the plan; `ratePerSec` is the load. */
  readonly work: Omit<Work, 'ratePerSec' | 'warmUpMs' | 'windowMs'>;
}

const oneTopic = {
  subscribers: 500,
  topics: 1,
  topicsPerSubscriber: 1,
  publishers: 2,
  stalled: 0,
  connectGroup: 50,
} as const;

const manyTopics = { ...oneTopic, topics: 1000, topicsPerSubscriber: 10, publishers: 10 } as const;

/** Every curve. `docs/performance.md` shows them in this order. */
export const curveWorks: readonly CurveWork[] = [
  {
    name: 'one-topic',
    title: 'One topic, 500 subscribers, one process',
    sides: ['rtc-alone', 'plain-alone', 'uws'],
    loads: [100, 500, 1000, 2000, 6000],
    work: oneTopic,
  },
  {
    name: 'large-topic',
    title: 'One topic, 5,000 subscribers, one process',
    sides: ['rtc-alone', 'plain-alone', 'uws'],
    loads: [5, 20, 100],
    work: { ...oneTopic, subscribers: 5000 },
  },
  {
    name: 'many-topics',
    title: '1,000 topics, 5 subscribers each, one process',
    sides: ['rtc-alone', 'plain-alone', 'uws'],
    loads: [500, 2000, 5000, 10_000],
    work: manyTopics,
  },
  {
    name: 'one-topic-redis',
    title: 'One topic, 500 subscribers, two processes and Redis',
    sides: ['rtc', 'plain', 'ws'],
    loads: [100, 1000, 3000],
    work: oneTopic,
  },
  {
    name: 'many-topics-redis',
    title: '1,000 topics, 5 subscribers each, two processes and Redis',
    sides: ['rtc', 'plain'],
    loads: [500, 2000, 5000],
    work: manyTopics,
  },
  {
    name: 'publishes',
    title: 'Acknowledged publishes on 20 topics, two processes and Redis',
    sides: ['rtc', 'plain'],
    loads: [1000, 5000, 20_000],
    work: { ...oneTopic, subscribers: 2, topics: 20, publishers: 20 },
  },
];

/** Names of the sides in charts and tables. */
export const sideTitles: Partial<Record<SideName, string>> = {
  rtc: 'this service',
  'rtc-alone': 'this service',
  plain: 'Socket.IO + Redis adapter',
  'plain-alone': 'Socket.IO',
  ws: 'ws + Redis',
  uws: 'uWebSockets.js',
};
