import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../shared/errors.js';

/**
 * A header that has one value. Node keeps the first of two `Authorization` headers, and joins those of other names with a comma; a proxy
 * may read the last one. So which one was meant is not guessed.
 *
 * @param name as it is shown to the caller
 * @throws RefusalError `invalid_message` if the request has it more than once
 */
export function singleHeader(request: IncomingMessage, name: string): string | undefined {
  const key = name.toLowerCase();
  const value = request.headers[key] as string | undefined;
  if (value !== undefined && timesIn(request, key) > 1)
    throw new RefusalError('invalid_message', `the header ${name} is there more than once`, { field: key });
  return value;
}

function timesIn({ rawHeaders }: IncomingMessage, key: string): number {
  let times = 0;
  // Names and values take turns.
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === key) times++;
  return times;
}
