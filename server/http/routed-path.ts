/**
 * The path of a request, as routes compare it: in small letters, and without the origin that a request target may begin with (RFC 9112, 3.2.2).
 */
export function routedPath(url = ''): string {
  return url.replace(/^[a-z][a-z+.-]*:\/\/[^/?]*/i, '').toLowerCase();
}
