import { writeSync } from 'node:fs';
import { unsupportedNode } from './node-version.js';

// The first import of every program: what is loaded later may fail on an old Node.
const problem = unsupportedNode(process.version);
if (problem !== undefined) {
  writeSync(2, `${problem}\n`);
  process.exit(1);
}
