/** The oldest Node that runs this: `engines` in package.json says the same. */
export const oldestNode = '20.19';

/** What to print on a Node that is too old; undefined on one that is supported. */
export function unsupportedNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldestNode.split('.').map(Number);
  const isSupported = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  return isSupported
    ? undefined
    : `realtime-communication needs Node ${oldestNode} or later; this is ${version}`;
}
