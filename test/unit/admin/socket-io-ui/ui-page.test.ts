import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownPage } from '../../../../server/admin/socket-io-ui/ui-page.js';

describe('[PAGES] the page of the Socket.IO Admin UI', () => {
  const folder = join(dirname(require.resolve('@socket.io/admin-ui/package.json')), 'ui', 'dist');
  const packaged = readFileSync(join(folder, 'index.html'), 'utf8');

  it('asks other servers for files as it is packaged, and not as it is served', () => {
    assert.match(packaged, /https:\/\//);
    assert.doesNotMatch(ownPage(packaged), /https?:|"\/\//);
  });

  it('is refused if another version of the package asks others for something else', () => {
    assert.throws(() => ownPage(packaged.replace('fonts.googleapis', 'fonts.example')), /has no/);
    assert.throws(
      () => ownPage(`${packaged}<script src="https://example.com/x.js"></script>`),
      /other servers/,
    );
  });
});
