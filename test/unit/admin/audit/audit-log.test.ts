import assert from 'node:assert/strict';
import { RefusalError } from '../../../../shared/errors.js';
import { MemorySharedStore } from '../../../../server/storage/memory/memory-shared-store.js';
import { AuditLog } from '../../../../server/admin/audit/audit-log.js';
import { silentLog } from '../../../../server/logging/log.js';

/** A store that can become unreachable. */
class FlakyStore extends MemorySharedStore {
  unreachable = false;

  override append(...args: Parameters<MemorySharedStore['append']>): Promise<string> {
    if (this.unreachable) return Promise.reject(new RefusalError('unavailable', 'unreachable'));
    return super.append(...args);
  }
}

const caller = { identity: { userId: 'olga', roles: ['admin'], autoSubscribe: [] }, address: '192.0.2.1' };
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl';

const asked = (action: string, content: unknown, result: string) => ({
  action,
  content,
  result,
  isAllowed: true,
});

function newAudit() {
  const store = new FlakyStore({ now: Date.now });
  const audit = new AuditLog({ store, log: silentLog, replicaId: 'a', now: Date.now }, { size: 5000 });
  return { store, audit };
}

describe('[ADMIN] the audit log', () => {
  it('contains no secret, in any field', async () => {
    const { audit } = newAudit();
    const secrets = {
      token: [jwt, 'opaque-1'],
      nested: { deep: [{ password: 'opaque-2' }], authorization: { scheme: 'opaque-3' } },
      cookie: 'opaque-4',
      jwt: 'opaque-5',
      ...Object.fromEntries(
        ['apiKey', 'api_key', 'x-api-key', 'passwd', 'pwd', 'credentials', 'private_key'].map((name) => [
          name,
          'opaque',
        ]),
      ),
      password: 7351,
      note: `seen ${jwt} in redis://user:opaque-6@host`,
    };
    await audit.add(caller, asked(`POST /admin/tokens/${jwt}`, { ...secrets, reason: 'x' }, 'ok'));
    const [record] = await audit.latest(1);
    assert.doesNotMatch(JSON.stringify(record), /eyJ|opaque|7351/);
    assert.equal((record!.request as { reason: string }).reason, 'x');
  });

  it('names a revoked token by its id', async () => {
    const { audit } = newAudit();
    await audit.add(caller, asked('POST /admin/tokens/revoke', { token_id: 'one' }, 'ok'));
    assert.deepEqual((await audit.latest(1))[0]!.request, { token_id: 'one' });
  });

  it('records a request that is nested too deeply to be written', async () => {
    const { audit } = newAudit();
    await audit.add(
      caller,
      asked('DELETE /admin/x', JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)), 'ok'),
    );
    assert.equal((await audit.latest(1))[0]!.action, 'DELETE /admin/x');
  });

  it('keeps records in order until an unreachable store is back', async () => {
    const { store, audit } = newAudit();
    store.unreachable = true;
    for (let n = 0; n < 1005; n++) await audit.add(caller, asked(`POST /admin/${n}`, {}, 'unavailable'));
    store.unreachable = false;
    await audit.store();
    await audit.add(caller, asked('POST /admin/last', {}, 'ok'));
    const actions = (await audit.latest(2000)).map(({ action }) => action);
    assert.deepEqual(
      [actions.length, actions[0], actions.at(-1)],
      [1001, 'POST /admin/last', 'POST /admin/5'],
    );
  });

  it('holds no unseen characters and no text of unbounded length', async () => {
    const { audit } = newAudit();
    const forged = '\u001b[2K\u202eolga\n';
    const identity = { userId: forged, roles: ['admin'], autoSubscribe: [] };
    const content = { reason: forged, long: 'x'.repeat(1_000_000), [forged]: 1 };
    await audit.add(
      { identity, address: forged },
      asked(`POST /${'y'.repeat(100_000)}${forged}`, content, 'ok'),
    );
    const text = JSON.stringify((await audit.latest(1))[0]);
    assert.match(text, /^[ -~…]*$/);
    assert.ok(text.length < 5000, `${text.length} characters`);
  });
});
