// train --events: what programs read, such as the Python client, whose tests kill its reader.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { easyData, eventsOf, QUICK, scratch, spawned } from '../e2e/support.ts';

const folder = scratch();
const { data } = easyData(folder, 'easy', 300);

test('--events prints all events and then the result, each on a line, and nothing else', async () => {
  const out = join(folder, 'run');
  const flags = ['--workers', 1, '--no-report', '--http', '127.0.0.1:0', ...QUICK];
  const { code, stdout, stderr } = await spawned(['train', data, '--out', out, '--events', ...flags]);
  assert.deepEqual([code, stderr], [0, '']);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const result = lines.pop();
  assert.equal(result.out, out);
  assert.ok(!('type' in result));
  assert.match(lines.find(({ type }) => type === 'log').message, /^watch it at http:/);
  assert.deepEqual(
    lines.filter(({ type }) => type !== 'log'),
    eventsOf(out),
  );
});
