/** The name of a topic of the storm. */
export function topicName(number: number): string {
  return `storm-${number}`;
}

/** The numbers of the topics of a client. */
export function topicsOf(client: number, topics: number, perClient: number): number[] {
  return Array.from({ length: Math.min(perClient, topics) }, (_, k) => (client * perClient + k) % topics);
}

/** The number of a topic with this name. */
export function topicNumber(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1));
}
