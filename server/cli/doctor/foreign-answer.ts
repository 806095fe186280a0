/** Whether something else than the service has answered: its refusals have a code, and none of these paths is unknown to it. */
export function isForeign({ code }: { readonly code: string }): boolean {
  return code.startsWith('http_') || code === 'not_found';
}
