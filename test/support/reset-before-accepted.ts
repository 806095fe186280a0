import { execFileSync } from 'node:child_process';

const client = `
  const socket = require('node:net').connect(Number(process.argv[1]), '127.0.0.1', () =>
    socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n', () => socket.resetAndDestroy()));
`;

/** Connects to a server of this process, sends a request, and resets the connection, before this process can accept it. */
export function resetBeforeAccepted(port: number): void {
  execFileSync(process.execPath, ['-e', client, String(port)]);
}
