import assert from 'node:assert/strict';
import { RefusalError, type ErrorCode, type ErrorDetails } from '../../../shared/errors.js';
import { programError, refusalOf } from '../../../server/protocol/program-error.js';

const throws = () => {
  throw new Error('a trap');
};
const revoked = (target: object) => {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
};
const withGetter = (error: Error, name: string) => Object.defineProperty(error, name, { get: throws });

describe('what code of a program has thrown', () => {
  it('stays the error that it is, if it is one', () => {
    const bug = new TypeError('a bug');
    assert.equal(programError(bug), bug);
  });

  it('is a refusal that can be sent, if it has a code of the table; details of other types are left out', () => {
    const details = { retryAfterMs: 5, field: 'a', limit: 12n, size: NaN } as unknown as ErrorDetails;
    const refusal = programError(new RefusalError('forbidden', 'no', details));
    assert.ok(refusal instanceof RefusalError);
    assert.deepEqual(refusal.toWire(), { code: 'forbidden', message: 'no', retry_after_ms: 5, field: 'a' });
    for (const none of [null, undefined, 'text'])
      assert.deepEqual(
        refusalOf(new RefusalError('busy', 'later', none as unknown as ErrorDetails))?.details,
        {},
      );
    const odd = Object.assign(new RefusalError('busy', 'x'), { message: 12n });
    assert.equal(refusalOf(odd)?.toWire().message, '12');
  });

  it('is a refusal also where it is one of another copy of the class', () => {
    const other = Object.assign(new Error('no'), { name: 'RefusalError', code: 'forbidden' });
    assert.deepEqual(refusalOf(other)?.toWire(), { code: 'forbidden', message: 'no' });
  });

  it('is a failure that names the code, if a refusal has one that is not in the table', () => {
    const failure = programError(new RefusalError('blocked' as ErrorCode, 'you are blocked'));
    assert.ok(!(failure instanceof RefusalError));
    assert.match(failure.message, /RefusalError with a code that is not in the table: "blocked"/);
  });

  const odd: Readonly<Record<string, unknown>> = {
    null: null,
    undefined,
    'a symbol': Symbol('s'),
    'an object without a prototype': Object.create(null),
    'a revoked proxy': revoked({}),
    'a revoked proxy of a refusal': revoked(new RefusalError('forbidden', 'x')),
    'a proxy whose traps throw': new Proxy({}, { get: throws, has: throws, getPrototypeOf: throws }),
    'a proxy of a refusal': new Proxy(new RefusalError('forbidden', 'x'), { get: throws }),
    'an object that only has the prototype of a refusal': Object.create(RefusalError.prototype),
    'a refusal whose code cannot be read': withGetter(new RefusalError('forbidden', 'x'), 'code'),
    'a refusal whose details cannot be read': withGetter(new RefusalError('forbidden', 'x'), 'details'),
    'a refusal whose message has no text': Object.assign(new RefusalError('forbidden', 'x'), {
      message: Object.create(null) as string,
    }),
    'an error whose name cannot be read': withGetter(new Error('x'), 'name'),
  };
  for (const [what, thrown] of Object.entries(odd))
    it(`is a failure, and can be looked at: ${what}`, () => {
      const failure = programError(thrown);
      assert.ok(failure instanceof Error && !(failure instanceof RefusalError));
      assert.equal(typeof failure.message, 'string');
    });
});
