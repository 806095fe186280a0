import { writeSync } from 'node:fs';
import { unsupportedNode } from './node-version.js';

// The first import of every program: what is loaded later may fail on an old Node, and source maps apply only to what is loaded later.
const problem = unsupportedNode(process.version);
if (problem !== undefined) {
  writeSync(2, `${problem}\n`);
  process.exit(1);
}
process.setSourceMapsEnabled(true);
