// The process of an attacker: one method, at full speed, until the time is over.
import { attackToken } from './preparation.js';
import type { AttackContext, Attacker } from './attack.js';
import { methods } from './methods.js';

/** What the process is told, as JSON. */
export interface AttackOrder {
  readonly method: string;
  readonly attacker: Attacker;
  readonly port: number;
  readonly seconds: number;
}

const order = JSON.parse(process.argv[2] ?? '{}') as AttackOrder;
const method = methods.find(({ name }) => name === order.method);
if (method === undefined) throw new Error(`there is no method ${order.method}`);

const invalid = 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA';
const context: AttackContext = {
  // Another address than that of the prober and of the honest client.
  target: { port: order.port, localAddress: '127.0.0.2' },
  attacker: order.attacker,
  token: order.attacker === 'user' ? attackToken('mallory') : invalid,
  otherToken: order.attacker === 'user' ? attackToken('mallory', '2h') : invalid,
  endsAt: Date.now() + order.seconds * 1000,
  counts: { opened: 0, refused: 0, closed: 0, sentBytes: 0 },
};

process.on('disconnect', () => process.exit(0));
// What still waits for an answer at the end must not delay the report.
const grace = new Promise((resolve) => setTimeout(resolve, order.seconds * 1000 + 500));
void Promise.race([method.run(context), grace]).then(
  () => process.send?.(context.counts, () => process.exit(0)),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
