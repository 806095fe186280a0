export type ReplicaKeys = ReturnType<typeof replicaKeys>;

/** Keys and channels of the replicas. `beats` and `bus` are those of version 0.1. */
export function replicaKeys(prefix: string) {
  return {
    beats: `${prefix}:replicas`,
    leases: `${prefix}:replicas:leases`,
    departed: `${prefix}:replicas:departed`,
    records: `${prefix}:replicas:records`,
    beatCount: `${prefix}:replicas:beats`,
    /** The channel of all replicas; with `:<replica>`, of one. */
    bus: `${prefix}:bus`,
    presenceTopics: (replica: string) => `${prefix}:presence-topics:${replica}`,
    presenceSweep: (replica: string) => `${prefix}:presence-sweep:${replica}`,
  } as const;
}
