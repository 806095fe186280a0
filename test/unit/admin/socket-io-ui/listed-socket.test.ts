import assert from 'node:assert/strict';
import { listedSocket } from '../../../../server/admin/socket-io-ui/listed-socket.js';

describe('[ADMIN-UI] a socket of the Socket.IO Admin UI', () => {
  it('shows of its user and address what the page would obey as codes', () => {
    const { data, handshake } = listedSocket({
      connection_id: 'c',
      user_id: 'ann\u202e',
      session_id: 's',
      wire: 'socketio',
      address: '::1\u200f',
      connected_at: 0,
      replica_id: 'rt-a',
      roles: ['user', 'a\u2066b'],
      waiting_bytes: 0,
      topics: {},
    });
    assert.deepEqual(
      [data['user_id'], data['roles'], handshake['address']],
      ['ann\\u{202e}', ['user', 'a\\u{2066}b'], '::1\\u{200f}'],
    );
  });
});
