// The short form of soak.ts: workers keep joining and leaving; memory and handles must not grow.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDLESS, easyData, epochOf, eventsOf, ofType, scratch } from '../e2e/support.ts';
import { startCluster } from './manual-cluster.ts';

const SECONDS = 60;
/** Epochs until the heap of a worker has its size, however long they take: V8 lets it grow while rounds leave little garbage. */
const WARM_UP = 600;
/** The first quarter is warm-up too. */
const QUARTERS = 4;

const memoryOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
const handlesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
const min = (values: number[]) => Math.min(...values);

test('memory and handles of a coordinator and a worker stay constant while other workers join and leave', {
  skip: !existsSync('/proc/self/fd') && 'there is no /proc',
}, async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 3000);
  const out = join(folder, 'run');
  const { coordinator, over, worker } = await startCluster(data, out, ENDLESS);
  const stays = worker(folder);
  let changing = worker(folder);
  while (epochOf(out) < WARM_UP) await sleep(50);
  const samples: { pid: number; memory: number; handles: number }[][] = [];
  const codes: (number | null)[] = [];
  let changes = 0;
  const begun = performance.now();
  while (performance.now() - begun < SECONDS * 1000 && !over()) {
    await sleep(200);
    const pids = [coordinator.pid, stays.pid];
    samples.push(pids.map((pid) => ({ pid, memory: memoryOf(pid), handles: handlesOf(pid) })));
    if (performance.now() - begun < 2000 * (changes + 1)) continue;
    // A worker handles signals only once it has joined.
    if (!changing.stderr().includes('joined as')) continue;
    changes++;
    process.kill(changing.pid, 'SIGTERM');
    codes.push((await changing.ended).code);
    changing = worker(folder);
  }
  assert.ok(!over(), coordinator.stderr());
  process.kill(coordinator.pid, 'SIGINT');
  await coordinator.ended;
  for (const each of [stays, changing]) await each.killAll();
  assert.ok(codes.length >= 3 && codes.every((code) => code === 0), String(codes));
  assert.ok(ofType(eventsOf(out), 'worker').length > codes.length);
  const quarter = Math.floor(samples.length / QUARTERS);
  for (const [i, name] of ['coordinator', 'worker'].entries()) {
    const of = (what: 'memory' | 'handles', from: number, to: number) =>
      min(samples.slice(from, to).map((both) => both[i][what]));
    const [early, late] = [of('memory', quarter, 2 * quarter), of('memory', -quarter, samples.length)];
    // The long form allows 5 % in 20 minutes; in this short time a single garbage collection matters as much.
    assert.ok(late <= 1.2 * early, `${name}: ${early.toFixed(0)} → ${late.toFixed(0)} MiB`);
    const handles = [of('handles', quarter, 2 * quarter), of('handles', -quarter, samples.length)];
    assert.ok(handles[1] <= handles[0] + 2, `${name}: ${handles.join(' → ')} handles`);
  }
});
