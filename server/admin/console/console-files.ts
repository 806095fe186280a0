import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Express, Request, Response } from 'express';
import { RefusalError } from '../../../shared/errors.js';

/** Names are fixed, without a hash: while a new version is rolled out, a page of one replica finds the files of another. */
const types: Readonly<Record<string, string>> = {
  '': 'text/html; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

/** Nothing from outside, nothing inline, no frame around it, and no text becomes a script. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

interface ConsoleFile {
  readonly type: string;
  readonly plain: Buffer;
  readonly packed: Buffer;
  readonly etag: string;
}

/** `dist/admin`, also when the service runs from its sources. */
function builtFolder(): string {
  const outer = join(__dirname, '..', '..', '..');
  return basename(outer) === 'dist' ? join(outer, 'admin') : join(outer, 'dist', 'admin');
}

/**
 * Serves the operator's console at `/admin/`, from memory. It is the same for everybody and holds no data: the page asks for a token and
 * reads the admin API with it. The routes of that API keep their paths.
 */
export function serveConsole(app: Express, folder = builtFolder()): void {
  const files = new Map<string, ConsoleFile>();
  const read = (name: string): ConsoleFile | undefined => {
    const known = files.get(name);
    if (known !== undefined) return known;
    const path = join(folder, name === '' ? 'index.html' : name);
    if (!existsSync(path)) return undefined;
    const plain = readFileSync(path);
    const etag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`;
    const file = { type: types[name]!, plain, packed: gzipSync(plain, { level: 9 }), etag };
    files.set(name, file);
    return file;
  };
  for (const name of Object.keys(types))
    app.get(`/admin/${name}`, (request, response, next) => {
      // Also `/admin`, as express matches it.
      if (request.path === '/admin') {
        response.redirect(308, `${request.baseUrl}/admin/`);
        return;
      }
      // A program that asks for JSON gets the answer of the API.
      if (name === '' && request.accepts('json', 'html') !== 'html') {
        next();
        return;
      }
      const file = read(name);
      if (file === undefined)
        throw new RefusalError('not_found', 'the console is not built: run npm run build');
      send(request, response, file);
    });
}

function send(request: Request, response: Response, { type, plain, packed, etag }: ConsoleFile): void {
  response.set({
    'Content-Type': type,
    'Content-Security-Policy': policy,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-cache',
    ETag: etag,
    Vary: 'Accept, Accept-Encoding',
  });
  if (request.fresh) {
    response.status(304).end();
    return;
  }
  const isPacked = request.acceptsEncodings('gzip') === 'gzip';
  if (isPacked) response.set('Content-Encoding', 'gzip');
  response.end(isPacked ? packed : plain);
}
