import { isUtf8 } from 'node:buffer';
import { raw, type RequestHandler, type Response } from 'express';
import { RefusalError } from '../../shared/errors.js';
import { parseExactly, stringify } from '../protocol/exact-json.js';
import { BodyTurns } from './body-turns.js';

/** A smaller body is read at once: that takes less than a millisecond. */
const largeBytes = 4096;

const byteOrderMark = /^\ufeff/;

/**
 * Reads the body of a request as JSON, whatever its content type: by default curl sends JSON with the content
 * type of a form. Numbers that JavaScript cannot hold stay as they were sent. Large bodies are parsed in turns.
 *
 * @throws RefusalError `invalid_json` if the body is not JSON in UTF-8, or if an object in it has a key twice; `invalid_payload` if it would
 * be costly to read
 */
export function jsonBody(limitBytes: number): RequestHandler {
  // Compressed bodies are refused: a kilobyte can become a megabyte, which no limit would have seen coming.
  const read = raw({ limit: limitBytes, type: () => true, inflate: false });
  const turns = new BodyTurns();
  return (request, response, next) => {
    if (hasOtherCharset(request.get('content-type') ?? '')) {
      next(new RefusalError('invalid_message', 'the charset of a body must be UTF-8'));
      return;
    }
    void read(request, response, (error?: unknown) => {
      const body: unknown = request.body;
      if (error !== undefined || !Buffer.isBuffer(body)) {
        next(error);
        return;
      }
      const parse = () => {
        // Nobody waits for the answer any more.
        if (response.destroyed) return;
        try {
          request.body = parseBody(body);
        } catch (refusal) {
          next(refusal);
          return;
        }
        next();
      };
      if (body.length < largeBytes) parse();
      else turns.run(parse);
    });
  };
}

/** Whether a content type names a charset that is not UTF-8. */
function hasOtherCharset(contentType: string): boolean {
  return contentType.split(';').some((parameter) => {
    const [name = '', value = ''] = parameter.split('=').map((part) => part.trim().toLowerCase());
    return name === 'charset' && value !== 'utf-8' && value !== '"utf-8"';
  });
}

/** @throws RefusalError */
function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  // Decoded as text, all invalid bytes become one character: two keys could become one.
  if (!isUtf8(body)) throw new RefusalError('invalid_json', 'the body is not UTF-8 text');
  const value = parseText(body.toString().replace(byteOrderMark, ''));
  if (typeof value !== 'object' || value === null)
    throw new RefusalError('invalid_json', 'the body is not a JSON object');
  return value;
}

function parseText(text: string): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new RefusalError('invalid_json', 'the body is not JSON');
    throw error;
  }
}

/** Answers with JSON. Numbers that JavaScript cannot hold are written as they were sent. */
export function sendJson(response: Response, answer: unknown): void {
  response.type('application/json').send(stringify(answer));
}
