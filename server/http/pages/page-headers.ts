import type { RequestHandler, Response } from 'express';

/** Sources of a Content-Security-Policy by directive. */
export type PagePolicy = Readonly<Record<string, readonly string[]>>;

/** What every page allows: its own files, and nothing of any other origin. */
export const ownFilesOnly: PagePolicy = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'"],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/** Headers of a page and its files: what the page may load, and that no page of another origin may use or frame it. */
export function setPageHeaders(response: Response, policy: PagePolicy): void {
  const directives = Object.entries(policy).map(([name, sources]) => [name, ...sources].join(' '));
  response.set({
    'Content-Security-Policy': directives.join('; '),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    // Files keep their names over releases, and are asked for again.
    'Cache-Control': 'no-cache',
  });
}

/** The same as middleware. */
export function pageHeaders(policy: PagePolicy): RequestHandler {
  return (_request, response, next) => {
    setPageHeaders(response, policy);
    next();
  };
}
