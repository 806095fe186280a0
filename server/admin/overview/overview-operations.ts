import type { MetricsDocument } from '../../metrics/metrics-document.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';
import type { BusiestTopics, BusyTopic } from './busiest-topics.js';
import type { FigureSample, FigureSamples } from './figure-samples.js';

/** What a replica adds to the overview. */
export interface ReplicaOverview {
  readonly metrics: MetricsDocument;
  readonly version: string;
  /** As `/health` lists them. */
  readonly problems: readonly string[];
  /** 0: there is no limit. */
  readonly connections_limit: number;
  readonly heap_limit_bytes: number;
  readonly refused_per_sec: Readonly<Record<string, number>>;
  readonly samples: readonly FigureSample[];
  readonly topics: readonly BusyTopic[];
}

export const replicaOverview = operation<null, ReplicaOverview>('overview');

interface OverviewOperationsDependencies {
  readonly metrics: () => MetricsDocument;
  readonly problems: () => readonly string[];
  readonly samples: FigureSamples;
  readonly topics: BusiestTopics;
}

/** The answer of this replica to the overview. */
export class OverviewOperations {
  constructor(
    private readonly dependencies: OverviewOperationsDependencies,
    private readonly settings: {
      readonly version: string;
      readonly connectionsLimit: number;
      readonly heapLimitBytes: number;
    },
  ) {}

  /** Registers the answer of this replica. */
  serve(cluster: ClusterOperations): void {
    const { metrics, problems, samples, topics } = this.dependencies;
    const { version, connectionsLimit, heapLimitBytes } = this.settings;
    cluster.answer(replicaOverview, async () => ({
      metrics: metrics(),
      version,
      problems: problems(),
      connections_limit: connectionsLimit,
      heap_limit_bytes: heapLimitBytes,
      refused_per_sec: samples.refusedPerSec,
      samples: samples.all(),
      topics: await topics.look(),
    }));
  }
}
