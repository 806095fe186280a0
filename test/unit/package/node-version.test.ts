import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { oldestNode, unsupportedNode } from '../../../server/cli/node-version.js';
import { root } from '../../support/root.js';

describe('[PACKAGE] the oldest Node', () => {
  it('is that of package.json and .nvmrc', () => {
    const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    assert.equal(engines.node, `>=${oldestNode}`);
    assert.equal(readFileSync(join(root, '.nvmrc'), 'utf8').trim(), oldestNode);
  });

  it('is the first one accepted; older ones are refused in one line', () => {
    for (const version of ['v14.21.3', 'v18.20.8', 'v20.9.0', 'v20.18.9'])
      assert.equal(
        unsupportedNode(version),
        `realtime-communication needs Node 20.19 or later; this is ${version}`,
      );
    for (const version of ['v20.19.0', 'v20.20.2', 'v22.0.0', 'v24.1.0', process.version])
      assert.equal(unsupportedNode(version), undefined);
  });
});
