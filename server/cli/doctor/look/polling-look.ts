import { askOnce } from './http-look.js';

/** Requests after the handshake: enough to reach another replica, if the balancer does not keep a client on one. */
const requests = 4;

/** Opens a long-polling client, and looks whether each of its requests reaches the replica that knows it. */
export async function lookAtPolling(
  url: string,
  token: string,
  timeoutMs: number,
): Promise<{ readonly lost: number; readonly requests: number } | null> {
  const address = (sid?: string) =>
    new URL(`${url}/socket.io/?EIO=4&transport=polling${sid === undefined ? '' : `&sid=${sid}`}`);
  try {
    const { status, text } = await askOnce(address(), { timeoutMs });
    const sid = /"sid":"([^"]+)"/.exec(text)?.[1];
    if (status !== 200 || sid === undefined) return null;
    const headers = { 'content-type': 'text/plain;charset=UTF-8' };
    const post = (body: string) => askOnce(address(sid), { method: 'POST', body, headers, timeoutMs });
    let lost = 0;
    const bodies = [`40${JSON.stringify({ token })}`, ...Array<string>(requests - 1).fill('42["ping",{}]')];
    const answers = [];
    for (const body of bodies) answers.push(await post(body));
    for (const answer of answers) if (answer.status === 400 && /Session ID unknown/.test(answer.text)) lost++;
    // The client leaves.
    await post('1');
    return { lost, requests };
  } catch {
    return null;
  }
}
