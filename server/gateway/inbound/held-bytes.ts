/** A command that waits holds about this many bytes beside its own, measured with commands of 100 bytes: promises, closures, its place in the line. */
const waitingBytes = 3072;

/** Memory of so many commands that are under way. */
export function heldBytes(commands: number, bytes: number): number {
  return bytes + commands * waitingBytes;
}
