import type { IncomingMessage, Server } from 'node:http';

/** Header fields that offer another protocol. */
const offers = ['upgrade', 'http2-settings'];

/**
 * Serves a request that Node has taken for an upgrade as if it had not offered one: its head, without the offer, and the bytes behind it are
 * read again. Earlier requests of its connection must have been answered: their responses would mix with this one. Node has an option for it from version 24 on (`shouldUpgradeCallback`).
 */
export function serveWithoutUpgrade(http: Server, request: IncomingMessage, rest: Buffer): void {
  const { socket } = request;
  const { method, url, httpVersion } = request;
  const fields = fieldsOf(request).flatMap(([name, value]) => {
    const key = name.toLowerCase();
    if (offers.includes(key)) return [];
    if (key !== 'connection') return [`${name}: ${value}\r\n`];
    const kept = value.split(',').filter((option) => !offers.includes(option.trim().toLowerCase()));
    return kept.length === 0 ? [] : [`${name}: ${kept.join(',')}\r\n`];
  });
  const head = `${method} ${url} HTTP/${httpVersion}\r\n${fields.join('')}\r\n`;
  socket.unshift(Buffer.concat([Buffer.from(head, 'latin1'), rest]));
  // Programs may emit it for a connection of their own: see the documentation of Node.
  http.emit('connection', socket);
}

function fieldsOf({ rawHeaders }: IncomingMessage): [name: string, value: string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) fields.push([rawHeaders[at]!, rawHeaders[at + 1]!]);
  return fields;
}
