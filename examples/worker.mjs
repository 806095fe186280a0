// A back end that publishes over HTTP: URL=http://localhost:8081 TOKEN=eyJ… node examples/worker.mjs
import { setTimeout as sleep } from 'node:timers/promises';

const { URL: url = 'http://localhost:8081', TOKEN: token } = process.env;

/** Publishes once, however often it has to be repeated. */
async function publish(topic, payload, key) {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}/api/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
      body: JSON.stringify({ topic, payload }),
    }).catch((error) => error);
    if (response.ok) return response.json();
    const isWorthwhile = !(response instanceof Response) || response.status === 429 || response.status >= 500;
    if (!isWorthwhile || attempt === 10) throw new Error(response.message ?? (await response.text()));
    const retryAfterSecs = Number(response.headers?.get('retry-after') ?? 1);
    await sleep(retryAfterSecs * 1000);
  }
}

for (let n = 1; n <= 3; n++) {
  const { sequence } = await publish('jobs', { n }, `job-${n}`);
  console.log(`job ${n} is message ${sequence}`);
}
