import type { Position } from '../../../shared/position.js';
import { operation, type ClusterOperations, type Found } from '../cluster-operations.js';
import { compareText, listPage, type ListRequest } from '../list-page.js';

/** A topic on one replica. */
interface TopicInfo {
  readonly topic: string;
  readonly subscribers: number;
  /** Subscribers that are catching up from the log. */
  readonly behind: number;
  readonly position: Position;
}

interface TopicQuery extends ListRequest {
  readonly prefix?: string | undefined;
  /** Only this topic. Replicas of version 0.1 do not know this field, and answer by the prefix. */
  readonly name?: string;
}

export const listTopics = operation<TopicQuery, Found<TopicInfo>>('topics');

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
    cluster.answer(listTopics, (request) => this.list(request));
  }

  /** Those with the most subscribers first. */
  private list({ prefix = '', name, ...request }: TopicQuery): Found<TopicInfo> {
    const order = {
      keyOf: ({ topic }: TopicInfo) => topic,
      rank: (one: TopicInfo, other: TopicInfo) =>
        other.subscribers - one.subscribers || compareText(one.topic, other.topic),
    };
    return listPage(this.matching(prefix, name), request, order, (info) => info);
  }

  private *matching(prefix: string, only: string | undefined): Iterable<TopicInfo> {
    for (const { name, subscribers, behind, position } of this.dependencies.activeTopics()) {
      if (only === undefined ? name.startsWith(prefix) : name === only)
        yield { topic: name, subscribers, behind, position };
    }
  }
}
