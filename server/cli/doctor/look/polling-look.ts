import type { Observations } from '../observations.js';
import { askOnce, refusalOf } from './http-look.js';

/** Requests after the handshake: enough to reach another replica, if the balancer does not keep a client on one. */
const requests = 4;

/** Opens a long-polling client, and looks whether each of its requests reaches the replica that knows it. */
export async function lookAtPolling(
  url: string,
  token: string,
  timeoutMs: number,
): Promise<Observations['polling']> {
  const address = (sid?: string) =>
    new URL(`${url}/socket.io/?EIO=4&transport=polling${sid === undefined ? '' : `&sid=${sid}`}`);
  try {
    const { status, text, body } = await askOnce(address(), { timeoutMs });
    const sid = /"sid":"([^"]+)"/.exec(text)?.[1];
    if (status !== 200 || sid === undefined)
      return { lost: 0, requests: 0, refusal: refusalOf(status, body, text) };
    const headers = { 'content-type': 'text/plain;charset=UTF-8' };
    const post = (packet: string) =>
      askOnce(address(sid), { method: 'POST', body: packet, headers, timeoutMs });
    let lost = 0;
    const bodies = [`40${JSON.stringify({ token })}`, ...Array<string>(requests - 1).fill('42["ping",{}]')];
    const answers = [];
    for (const packet of bodies) answers.push(await post(packet));
    for (const answer of answers) if (answer.status === 400 && /Session ID unknown/.test(answer.text)) lost++;
    // The client leaves.
    await post('1');
    return { lost, requests };
  } catch {
    return null;
  }
}
