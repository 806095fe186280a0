import { Crowd, type CrowdSize } from './crowd.js';

/** A {@link Crowd} as its own process, which a test can freeze. It writes `connected` when all are connected, and ends with its parent. */
const [url, size] = process.argv.slice(2) as [string, string];
process.on('disconnect', () => process.exit(0));
void Crowd.connect(url, JSON.parse(size) as CrowdSize).then(() => process.send!('connected'));
