import assert from 'node:assert/strict';
import { CrowdedService } from '../../bench/console/admin-answers.js';

const connections = 20_000;
const topicsOfEach = 5;
/** Of each answer. */
const limitBytes = 256_000;

// How long the answers take is measured by `npm run bench:answers`: a machine that does something else too would decide about this test.
describe('[CONSOLE] the admin API with 20,000 connections and 100,000 topics', function () {
  this.timeout(300_000);
  let crowded: CrowdedService;

  before(async () => {
    crowded = await CrowdedService.start({ connections, topicsOfEach });
  });
  after(() => crowded?.close());

  it('knows them all', async () => {
    const { total } = await crowded.json('/admin/connections?limit=1');
    assert.equal(total, connections);
    const { figures } = (await crowded.json('/admin/overview')) as { figures: Record<string, number> };
    assert.equal(figures['connections'], connections);
    assert.equal(figures['topics'], connections * topicsOfEach);
    assert.equal(figures['subscriptions'], connections * topicsOfEach);
  });

  it('gives no answer that is larger than 256 kB, whatever is asked for', async () => {
    const paths = await crowded.paths();
    assert.ok(paths.length > 60, paths.join('\n'));
    const wrong: string[] = [];
    let largest = 0;
    for (const path of paths) {
      const { status, bytes } = await crowded.answerOf(path, 1);
      largest = Math.max(largest, bytes);
      if (status !== 200 || bytes > limitBytes) wrong.push(`${path}: ${status}, ${bytes} bytes`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(largest > 200_000, 'there was more than what was given');
  });

  it('lets a whole list be walked, page by page', async () => {
    let count = 0;
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await crowded.json(`/admin/topics?limit=10000&prefix=rooms.9&cursor=${cursor}`);
      count += (page['topics'] as unknown[]).length;
      cursor = page['cursor'] as string | null;
    }
    // rooms.9, rooms.90 to rooms.99, and so on.
    assert.equal(count, 11_111);
  });
});
