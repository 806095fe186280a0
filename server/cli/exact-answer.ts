import { exactTwin } from '../protocol/exact-json.js';

/** Reads an answer with the numbers that JavaScript cannot hold: they are shown as they were published. @throws SyntaxError */
export function readJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  try {
    return exactTwin(text, value) ?? value;
  } catch {
    // It is not of the service, which has no key twice.
    return value;
  }
}
