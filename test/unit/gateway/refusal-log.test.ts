import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import { silentLog, type LogFields } from '../../../server/logging/log.js';
import { RefusalLog } from '../../../server/gateway/handshake/refusal-log.js';

describe('[LOG] refused connections', () => {
  it('are logged with their reason and without their token, and counted; a flood of them makes a bounded number of lines', () => {
    const lines: LogFields[] = [];
    const counted: string[] = [];
    let now = 0;
    const refusals = new RefusalLog({
      log: { ...silentLog, error: (_message, fields) => void lines.push(fields!) },
      count: (code) => void counted.push(code),
      addressOf: () => '10.0.0.1',
      now: () => now,
    });
    const request = {
      url: '/ws?token=eyJsecret',
    } as IncomingMessage;
    const refused = new RefusalError('unauthorized', 'the token is not valid');
    for (let i = 0; i < 1000; i++) refusals.note(refused, request);
    assert.equal(counted.length, 1000);
    assert.equal(lines.length, 20);
    assert.deepEqual(lines[0], {
      code: 'unauthorized',
      reason: 'the token is not valid',
      address: '10.0.0.1',
      path: '/ws',
    });
    now = 1000;
    refusals.note(refused, request);
    assert.equal(lines.at(-1)!['left_out'], 980);
  });
});
