import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import express, { Router, type Response } from 'express';
import { ownFilesOnly, pageHeaders, setPageHeaders, type PagePolicy } from '../../http/pages/page-headers.js';

const folderOf = {
  ui: () => join(dirname(require.resolve('@socket.io/admin-ui/package.json')), 'ui', 'dist'),
  icons: () => dirname(require.resolve('@mdi/font/package.json')),
  letters: () => dirname(require.resolve('@fontsource/roboto/package.json')),
};

/** Vuetify writes the colours of its theme into a style element of its own. */
const policy: PagePolicy = {
  ...ownFilesOnly,
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
};

/** Weights of the letters that the page asks a server of Google for. */
const weights = [100, 300, 400, 500, 700, 900];

/** What the page asks other servers for, and our files instead. */
const replaced: readonly [packaged: string, own: string][] = [
  [
    '<link rel="stylesheet" href="https://fonts.googleapis.com/css?family=Roboto:100,300,400,500,700,900">',
    weights.map((weight) => `<link rel="stylesheet" href="letters/${weight}.css">`).join(''),
  ],
  [
    '<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/@mdi/font@latest/css/materialdesignicons.min.css">',
    '<link rel="stylesheet" href="icons/css/materialdesignicons.min.css">',
  ],
  // Before the scripts of the page.
  ['<script src=', '<script src="service.js"></script><script src='],
];

/** The page asks for the address of its server. It is the one that it comes from, and its policy allows no other. */
const script = `try {
  localStorage.setItem('server_url', location.origin);
} catch {}
`;

/** The packaged page, which asks nobody else for anything. @throws Error if another version of the package has another page */
export function ownPage(packaged: string): string {
  let page = packaged;
  for (const [text, own] of replaced) {
    if (!page.includes(text)) throw new Error(`the page of @socket.io/admin-ui has no ${text}`);
    page = page.replace(text, own);
  }
  if (/(?:href|src)="?(?:https?:)?\/\//.test(page))
    throw new Error('the page of @socket.io/admin-ui asks other servers for files');
  return page;
}

/** The page of the Socket.IO Admin UI and its files, from packages. */
export function uiPage(): Router {
  const folders = { ui: folderOf.ui(), icons: folderOf.icons(), letters: folderOf.letters() };
  const page = ownPage(readFileSync(join(folders.ui, 'index.html'), 'utf8'));
  const router = Router();
  const headers = pageHeaders(policy);
  const files = (folder: string) =>
    express.static(folder, {
      index: false,
      redirect: false,
      cacheControl: false,
      setHeaders: (response) => setPageHeaders(response as Response, policy),
    });
  router.get('/', headers, (request, response) => {
    // Relative addresses of the page need the slash.
    if (request.originalUrl.split('?', 1)[0]!.endsWith('/')) response.type('html').send(page);
    else response.redirect(308, `${request.baseUrl}/`);
  });
  router.get('/service.js', headers, (_request, response) => void response.type('js').send(script));
  for (const folder of ['css', 'js', 'img']) router.use(`/${folder}`, files(join(folders.ui, folder)));
  router.use('/favicon.png', files(join(folders.ui, 'favicon.png')));
  router.use('/icons/css', files(join(folders.icons, 'css')));
  router.use('/icons/fonts', files(join(folders.icons, 'fonts')));
  router.use('/letters', files(folders.letters));
  return router;
}
