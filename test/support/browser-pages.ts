import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Closing } from './closing.js';
import { root } from './root.js';

/** Serves files by path; any other path is a page too. Resolves to the origin. */
export async function serve(closing: Closing, files: ReadonlyMap<string, string>): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    const path = url.split('?')[0]!;
    response.setHeader('content-type', /\.m?js$/.test(path) ? 'text/javascript' : 'text/html');
    response.end(files.get(path) ?? '<!doctype html><p>another page</p>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.add(() => new Promise((resolve) => server.close(resolve)));
  closing.add(() => Promise.resolve(server.closeAllConnections()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A file of the repository. */
export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A script with all that it imports. */
export async function bundle(path: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, path)],
    bundle: true,
    write: false,
    define: { 'process.env.NODE_ENV': '"development"' },
  });
  return outputFiles[0]!.text;
}

/** Evaluated in a page: the number of messages in the page's outbox. */
export const countOutbox = `new Promise((resolve) => {
  const request = indexedDB.open('rtc_outbox', 1);
  request.onsuccess = () => {
    const database = request.result;
    const count = database.transaction('outgoing').objectStore('outgoing').count();
    count.onsuccess = () => { database.close(); resolve(count.result); };
  };
})`;
