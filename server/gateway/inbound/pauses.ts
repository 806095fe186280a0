/** Why a transport is not read: one bit each. */
export const pauses = {
  /** Its client is being connected. */
  joining: 1,
  /** It does not read the answers to its commands. */
  answers: 2,
  /** It has too many commands under way. */
  commands: 4,
  /** It has sent too many packets without use. */
  waste: 8,
  /** It has used its share of the present turn. */
  turn: 16,
  /** Too many of its commands wait for each other. */
  order: 32,
} as const;

/** Commands are under way: they are the reason why the client is not read, and its pongs neither. */
export const forCommands = pauses.commands | pauses.order;
