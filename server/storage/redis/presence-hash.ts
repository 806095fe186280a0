/**
 * The hash of a topic's presence: field = user, value = `<replica>=<connections>` for each replica with some,
 * space-separated. This is the form of version 0.1; another form needs another key.
 */
export function presenceKey(prefix: string, topic: string): string {
  return `${prefix}:{${topic}}:presence`;
}

/** A replica as it is written in the hash. */
export const encodeReplica = encodeURIComponent;

function decoded(replica: string): string {
  try {
    return decodeURIComponent(replica);
  } catch {
    // Not written by this service: no replica has this id.
    return replica;
  }
}

/** The replicas of a value, with the connections of the user on each. */
export function* partsOf(value: string): Iterable<readonly [replica: string, connections: number]> {
  for (const part of value.split(' ')) {
    const end = part.lastIndexOf('=');
    yield [decoded(part.slice(0, end)), Number(part.slice(end + 1))];
  }
}
