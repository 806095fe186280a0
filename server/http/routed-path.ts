const origin = /^[a-z][a-z+.-]*:\/\/[^/?]*/i;

/**
 * The path of a request, as routes compare it: in small letters, and without the origin that a request target may begin with (RFC 9112, 3.2.2).
 */
export function routedPath(url = ''): string {
  return url.replace(origin, '').toLowerCase();
}

/** A request target that is an origin alone means its root (RFC 9110, 4.2.3). Routers see no path in it. */
export function withPath(url = ''): string {
  return url.replace(origin, '') === '' ? `${url}/` : url;
}
