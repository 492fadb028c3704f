// The short form of kills.ts: workers die in every kind of task, and the results stay the same.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { easyData, embeddedData, eventsOf, library, ofType, resultHashes, scratch } from '../e2e/support.ts';
import { normals } from '../model/support.ts';
import { FURTHER_KINDS, GRAPH_KINDS, TASK_KINDS, trainWithKills } from './kill-workers.ts';

const folder = scratch();
const { train } = await library();

const QUICK = { splitMergeEvery: 3, batchSize: 16 };
let row = 0;
const next = normals(3);
for (const [what, data, options, kinds, kills] of [
  [
    'every kind of task',
    // Five columns, as in fewer the M-step has another task.
    () => easyData(folder, 'easy', 6000, (x) => [...x, next(), next()]),
    { ...QUICK, earlyStop: false, maxEpochs: 30, initK: 3 },
    TASK_KINDS,
    14,
  ],
  [
    'outliers that are set apart, replicates, and statistics of flat clusters',
    // Five rows far off, and a fourth column that is nearly the sum of the others.
    () =>
      easyData(folder, 'odd', 5000, (x) => {
        const scale = row % 1000 === 0 ? 1e4 : 1;
        return [...x, x[0] + x[1] + x[2] + 3e-4 * Math.sin(row++)].map((value) => scale * value);
      }),
    { ...QUICK, replicates: 2, maxEpochs: 20 },
    FURTHER_KINDS,
    6,
  ],
  [
    'every task of the graph likelihood',
    () => embeddedData(folder, 'embedded', 1500),
    { ...QUICK, earlyStop: false, maxEpochs: 20 },
    GRAPH_KINDS,
    12,
  ],
] as const)
  test(`workers killed in ${what}: the same bytes, no epoch repeated`, async () => {
    const [quiet, out] = ['quiet', 'killed'].map((name) => join(folder, `${name}-${kills}`));
    const args = { ...options, data: data().data };
    await train({ ...args, out: quiet, workers: 1, report: false });
    const by = { kinds, seed: kills, kills, pause: 300 };
    const { killed, tasks } = await trainWithKills(out, { ...args, workers: 3 }, by);
    for (const kind of kinds) assert.ok(tasks[kind] > 0, `${kind}: ${JSON.stringify(tasks)}`);
    assert.ok(killed >= Math.min(5, kinds.length), `${killed} kills`);
    assert.deepEqual(resultHashes(out), resultHashes(quiet));
    const [before, after] = [quiet, out].map((run) => ofType(eventsOf(run), 'done')[0]);
    assert.deepEqual([after.replicates, after.outliers], [before.replicates, before.outliers]);
    const epochs = ofType(eventsOf(out), 'epoch').map(({ epoch }) => epoch);
    assert.equal(new Set(epochs).size, epochs.length);
  });
