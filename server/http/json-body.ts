import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { json, type RequestHandler, type Response } from 'express';
import { RefusalError } from '../../shared/errors.js';
import { exactTwin, stringify } from '../protocol/exact-json.js';

/**
 * Reads the body of a request as JSON, whatever its content type: by default curl sends JSON with the content
 * type of a form. Numbers that JavaScript cannot hold stay as they were sent.
 *
 * @throws RefusalError `invalid_json` if the body is not UTF-8 text, or if an object in it has a key twice
 */
export function jsonBody(limitBytes: number): RequestHandler {
  const texts = new WeakMap<IncomingMessage, string>();
  const read = json({
    limit: limitBytes,
    type: () => true,
    verify: (request, _response, body, encoding) => {
      if (encoding !== 'utf-8') return;
      // Decoded as text, all invalid bytes become one character: two keys could become one.
      if (!isUtf8(body)) throw new RefusalError('invalid_json', 'the body is not UTF-8 text');
      texts.set(request, body.toString().replace(/^\ufeff/, ''));
    },
  });
  return (request, response, next) => {
    read(request, response, (error?: unknown) => {
      if (error === undefined) {
        const text = texts.get(request);
        try {
          if (text !== undefined) request.body = exactTwin(text, request.body) ?? (request.body as unknown);
        } catch (refusal) {
          next(refusal);
          return;
        }
      }
      next(error);
    });
  };
}

/** Answers with JSON. Numbers that JavaScript cannot hold are written as they were sent. */
export function sendJson(response: Response, answer: unknown): void {
  response.type('application/json').send(stringify(answer));
}
