import type { Position } from '../../../shared/position.js';
import { operation, type ClusterOperations, type Found } from '../cluster-operations.js';
import { compareText, longListPage, type ListRequest } from '../list-page.js';

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

interface ActiveTopicInfo {
  readonly name: string;
  readonly subscribers: number;
  readonly behind: number;
  readonly position: Position;
}

interface TopicOperationsDependencies {
  readonly activeTopics: () => Iterable<ActiveTopicInfo>;
  readonly activeTopic: (name: string) => ActiveTopicInfo | undefined;
}

/** Answers of this replica about its active topics. */
export class TopicOperations {
  constructor(private readonly dependencies: TopicOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(listTopics, (request) => this.list(request));
  }

  /** Those with the most subscribers first. */
  private list({ prefix = '', name, ...request }: TopicQuery): Promise<Found<TopicInfo>> {
    const order = {
      keyOf: ({ topic }: TopicInfo) => topic,
      rank: (one: TopicInfo, other: TopicInfo) =>
        other.subscribers - one.subscribers || compareText(one.topic, other.topic),
      leastBytes: 80,
    };
    const found = name === undefined ? this.beginningWith(prefix) : this.named(name);
    return longListPage(found, request, order, (info) => info);
  }

  private *beginningWith(prefix: string): Iterable<TopicInfo | undefined> {
    for (const info of this.dependencies.activeTopics())
      yield info.name.startsWith(prefix) ? shown(info) : undefined;
  }

  private *named(name: string): Iterable<TopicInfo> {
    const info = this.dependencies.activeTopic(name);
    if (info !== undefined) yield shown(info);
  }
}

function shown({ name, subscribers, behind, position }: ActiveTopicInfo): TopicInfo {
  return { topic: name, subscribers, behind, position };
}
