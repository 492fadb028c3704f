// The short form of soak.ts: workers come and go all the time; memory and handles stay.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENDLESS, easyData, epochOf, eventsOf, ofType, scratch } from '../e2e/support.ts';
import { byHand } from './by-hand.ts';

const SECONDS = 60;
/** Of the first of these, processes are still warming up. */
const QUARTERS = 4;

const memoryOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
const handlesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;
const least = (values: number[]) => Math.min(...values);

test('a coordinator and a worker whose fellows come and go stay as large as they are', {
  skip: !existsSync('/proc/self/fd') && 'there is no /proc',
}, async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 3000);
  const out = join(folder, 'run');
  const { coordinator, over, worker } = await byHand(data, out, ENDLESS);
  const stays = worker(folder);
  let changing = worker(folder);
  while (epochOf(out) < 5) await sleep(50);
  const samples: { pid: number; memory: number; handles: number }[][] = [];
  const codes: (number | null)[] = [];
  let changes = 0;
  const begun = performance.now();
  while (performance.now() - begun < SECONDS * 1000 && !over()) {
    await sleep(200);
    const pids = [coordinator.pid, stays.pid];
    samples.push(pids.map((pid) => ({ pid, memory: memoryOf(pid), handles: handlesOf(pid) })));
    if (performance.now() - begun < 2000 * (changes + 1)) continue;
    // Before it has joined no signal is heard.
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
      least(samples.slice(from, to).map((both) => both[i][what]));
    const [early, late] = [of('memory', quarter, 2 * quarter), of('memory', -quarter, samples.length)];
    // The 5 % of the long form are of 20 minutes; here a collection more or less is as much.
    assert.ok(late <= 1.2 * early, `${name}: ${early.toFixed(0)} → ${late.toFixed(0)} MiB`);
    const handles = [of('handles', quarter, 2 * quarter), of('handles', -quarter, samples.length)];
    assert.ok(handles[1] <= handles[0] + 2, `${name}: ${handles.join(' → ')} handles`);
  }
});
