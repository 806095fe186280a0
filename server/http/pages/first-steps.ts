import express, { Router, type RequestHandler } from 'express';
import { RefusalError } from '../../../shared/errors.js';
import { otherMethods } from '../other-methods.js';
import { requireLocalPage } from './local-page.js';
import { ownFilesOnly, pageHeaders } from './page-headers.js';

/** The token of the page is good for this long. The page renews it before. */
const tokenSecs = 900;

/** The user of the page. */
const userId = 'newcomer';

interface FirstStepsDependencies {
  /** Signs an access token for a user with the role `user`. Undefined if the secret was not made by this run: such a secret signs for nobody who asks. */
  readonly issue: ((userId: string, ttlSecs: number) => string) | undefined;
  readonly now: () => number;
}

/** The page for newcomers at `/`, its files, and the token it works with. For development only. */
export function firstStepsRouter(
  { issue, now }: FirstStepsDependencies,
  { folder }: { readonly folder: string },
): Router {
  const router = Router();
  const headers = pageHeaders(ownFilesOnly);
  router.get('/', headers, (_request, response) => response.sendFile('index.html', { root: folder }));
  const token: RequestHandler = (request, response) => {
    response.set('Cache-Control', 'no-store');
    requireLocalPage(request);
    if (issue === undefined)
      throw new RefusalError('forbidden', 'the service has a secret of its own: make a token by rtc token');
    response.json({
      token: issue(userId, tokenSecs),
      user_id: userId,
      expires_at: now() + tokenSecs * 1000,
    });
  };
  router.post('/first-steps/token', headers, token);
  router.all('/first-steps/token', otherMethods('POST'));
  router.use(
    '/first-steps',
    headers,
    express.static(folder, { index: false, redirect: false, cacheControl: false }),
  );
  return router;
}
