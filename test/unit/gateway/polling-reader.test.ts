import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { PacketAdmission } from '../../../server/gateway/engine-internals/packet-reader.js';
import { PollingReader } from '../../../server/gateway/engine-internals/polling-reader.js';

class FakeTransport extends EventEmitter {
  readonly name = 'polling';
  readyState = 'open';
  maxHttpBufferSize = 0;
  readonly decoded: number[] = [];

  onData(body: string): void {
    this.decoded.push(body.length);
  }

  onError(message: string): void {
    throw new Error(message);
  }
}

describe('[LIMITS] the reader of a long-polling transport', () => {
  it('decodes a large packet that has to wait when it is started again, and those behind it in their order', () => {
    const transport = new FakeTransport();
    const asked: number[] = [];
    const admission: Pick<PacketAdmission, 'mayDecode' | 'admitPacket'> = {
      mayDecode: (bytes) => {
        asked.push(bytes);
        if (asked.length !== 2) return true;
        reader.stop();
        return false;
      },
      admitPacket: () => true,
    };
    const reader = new PollingReader(transport, () => admission as PacketAdmission);
    transport.onData([10, 20_000, 16_383].map((size) => 'x'.repeat(size)).join('\x1e'));
    assert.deepEqual(transport.decoded, [10]);
    reader.start();
    assert.deepEqual(transport.decoded, [10, 20_000, 16_383]);
    assert.deepEqual(asked, [10, 20_000, 20_000, 16_383]);
  });
});
