/** Functions that are called when a log may have new messages, by topic. */
export class LogWatchers {
  private readonly byTopic = new Map<string, Set<() => void>>();

  /** Returns a function that removes it. */
  add(topic: string, moved: () => void): () => void {
    let watchers = this.byTopic.get(topic);
    if (watchers === undefined) {
      watchers = new Set();
      this.byTopic.set(topic, watchers);
    }
    const its = watchers;
    its.add(moved);
    return () => {
      its.delete(moved);
      if (its.size === 0) this.byTopic.delete(topic);
    };
  }

  notify(topic: string): void {
    if (this.byTopic.size === 0) return;
    for (const moved of this.byTopic.get(topic) ?? []) moved();
  }

  notifyAll(): void {
    for (const topic of this.byTopic.keys()) this.notify(topic);
  }
}
