import { buffer } from 'node:stream/consumers';
import { usageError } from './cli-error.js';

/** What standard input holds. @throws CliError if it is no text */
export async function textOfStdin(what: string): Promise<string> {
  const bytes = await buffer(process.stdin);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw usageError(`${what} from standard input is not UTF-8 text`, 'iconv -t UTF-8, or base64, before it');
  }
}
