import type { Position } from '../../../shared/position.js';
import { operation, type ClusterOperations, type Found } from '../cluster-operations.js';

/** A topic on one replica. */
interface TopicInfo {
  readonly topic: string;
  readonly subscribers: number;
  /** Subscribers that are catching up from the log. */
  readonly behind: number;
  readonly position: Position;
}

export const listTopics = operation<
  { readonly prefix?: string | undefined; readonly limit: number },
  Found<TopicInfo>
>('topics');

interface TopicOperationsDependencies {
  readonly activeTopics: () => Iterable<{
    readonly name: string;
    readonly subscribers: number;
    readonly behind: number;
    readonly position: Position;
  }>;
}

/** Answers of this replica about its active topics. */
export class TopicOperations {
  constructor(private readonly dependencies: TopicOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(listTopics, ({ prefix = '', limit }) => this.list(prefix, limit));
  }

  /** Those with the most subscribers first. */
  private list(prefix: string, limit: number): Found<TopicInfo> {
    const found: TopicInfo[] = [];
    for (const { name, subscribers, behind, position } of this.dependencies.activeTopics()) {
      if (name.startsWith(prefix)) found.push({ topic: name, subscribers, behind, position });
    }
    found.sort((a, b) => b.subscribers - a.subscribers || (a.topic < b.topic ? -1 : 1));
    return { items: found.slice(0, limit), total: found.length };
  }
}
