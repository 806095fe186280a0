/** The limits for which a transport is closed. */
export const inboundLimits = [
  'before_join',
  'join_bytes',
  'waste',
  'parts',
  'parts_time',
  'fragments',
  'unfinished',
] as const;

export type InboundLimit = (typeof inboundLimits)[number];

/** What the budgets of a replica's transports have counted since the start, and what is under way. */
export interface InboundCounts {
  /** Commands that are not answered yet, and the bytes of their packets. */
  commands: number;
  bytes: number;
  /** Times a transport was not read because of a limit. */
  paused: number;
  /** Packets without use. */
  waste: number;
  /** Transports closed, by limit. */
  readonly closed: Record<InboundLimit, number>;
}

/** All zero. */
export function newInboundCounts(): InboundCounts {
  const closed = Object.fromEntries(inboundLimits.map((limit) => [limit, 0])) as InboundCounts['closed'];
  return { commands: 0, bytes: 0, paused: 0, waste: 0, closed };
}
