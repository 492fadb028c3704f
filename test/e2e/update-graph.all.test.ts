// Updates of runs with the graph likelihood: topics of an embedding keep their ids, a new one is found; the same bytes whoever computes them.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { predict } from '../../index.ts';
import { type ClusterCheckpoint, decodeCheckpoint } from '../../run/checkpoint.ts';
import {
  checkpointsOf,
  dpmesh,
  embeddedData,
  eventsOf,
  jsonOf,
  K,
  labelsOf,
  MANY,
  ofType,
  runFileOf,
  scratch,
  times,
  trainArgs,
  writeRows,
} from './support.ts';
import { lineageOf, purity, updateArgs } from './updates.ts';

const ROWS = 1500;
const folder = scratch();
const path = (name: string) => join(folder, name);
const all = embeddedData(folder, 'all', ROWS);
/** The topic that is not in the first rows. */
const LATE = 5;

/** Writes the rows from one number to another, of these topics, each passed through `change`. */
function rowsFrom(
  name: string,
  from: number,
  to: number,
  has: (topic: number) => boolean = () => true,
  copies = 0,
) {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i).filter((i) => has(all.classes[i]));
  const own = [...numbers, ...numbers.slice(0, copies)];
  const rows = Float32Array.from(own.flatMap((i) => [...all.rows.subarray(i * MANY, (i + 1) * MANY)]));
  // Copies are not quite the same.
  for (let p = numbers.length * MANY; p < rows.length; p++) rows[p] *= 1 + 1e-6 * (p % 5);
  writeNpy(path(name), '<f4', [own.length, MANY], rows);
  return { data: path(name), classes: own.map((i) => all.classes[i]) };
}
const first = rowsFrom('first.npy', 0, 600, (topic) => topic !== LATE);
const same = rowsFrom('same.npy', 600, 900, (topic) => topic !== LATE, 8);
const late = rowsFrom('late.npy', 900, ROWS);

const update = (run: string, data: string, out: string, ...more: (string | number)[]) =>
  updateArgs(path(run), data, path(out), ...more);

before(async () => {
  const { k, ari } = jsonOf(await dpmesh(trainArgs(first.data, path('run'), '--no-http')));
  assert.equal(runFileOf(path('run')).likelihood?.name, 'graph');
  assert.equal(k, K - 1, String(ari));
  jsonOf(await dpmesh(update('run', same.data, 'run-a', '--workers', 1)));
  jsonOf(await dpmesh(update('run-a', late.data, 'run-b', '--workers', 1)));
});

describe('an update of a graph run', () => {
  test('with rows of the same topics: ids and K stay, at the same γ, in few epochs', async () => {
    const { ids, lineage, drift } = lineageOf(path('run-a'));
    assert.deepEqual([[...ids].sort(), lineage, drift.alarms], [[0, 1, 2, 3, 4], [], []]);
    const before = await predict({ run: path('run'), data: same.data });
    const after = labelsOf(path('run-a')).data;
    const kept = before.labels.filter((label, i) => label === after[i]).length;
    assert.ok(kept >= 0.99 * before.rows, `${kept} of ${before.rows} rows`);
    const [old, now] = ['run', 'run-a'].map((run) => runFileOf(path(run)));
    assert.equal(now.likelihood!.resolution, old.likelihood!.resolution);
    assert.ok(now.result!.epochs <= old.result!.epochs / 2, `${now.result!.epochs} epochs`);
  });

  test('with a new topic: it is born, under a new id, and the drift tells before', async () => {
    const { ids, lineage, drift } = lineageOf(path('run-b'));
    assert.deepEqual([...ids].sort(), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(lineage, [{ what: 'born', id: 5 }]);
    const labels = labelsOf(path('run-b')).data;
    assert.ok(purity(labels, late.classes) >= 0.99);
    const topic = late.classes.indexOf(LATE);
    assert.equal(labels[topic], 5);
    assert.ok(drift.alarms.includes('apart'), JSON.stringify(drift));
    const [warning] = ofType(eventsOf(path('run-b')), 'warning');
    assert.match(warning.message, /late\.npy: .* % of them are among each other, with hardly an earlier one/);
    const again = await predict({ run: path('run-b'), data: late.data });
    assert.deepEqual([...again.labels], [...labels]);
    assert.equal(runFileOf(path('run-b')).result!.k, K);
  });

  test('has a report, and a cut', async () => {
    assert.equal((await dpmesh(['plot', path('run-b'), '--out', path('report')])).code, 0);
    const { clusters } = jsonOf(await dpmesh(['cut', path('run-b'), '--clusters', 2, '--json']));
    assert.equal(clusters.length, 2);
  });

  test('with a half-life: a topic without rows is gone, and returns under its id', async () => {
    const few = (name: string, from: number, to: number, has: (topic: number) => boolean) =>
      rowsFrom(name, from, to, has).data;
    const without = few('without.npy', 0, ROWS, (topic) => topic !== 2 && topic !== 4);
    jsonOf(await dpmesh(update('run-b', without, 'gone', '--half-life', 125)));
    const { ids, lineage } = lineageOf(path('gone'));
    assert.equal(ids.length, K - 2);
    const both = [0, 1, 2, 3, 4, 5].filter((id) => !ids.includes(id));
    assert.deepEqual(
      new Set(lineage.map(({ what, id }: { what: string; id: number }) => `${what} ${id}`)),
      new Set(both.map((id) => `gone ${id}`)),
    );
    const back = few('back.npy', 750, ROWS, (topic) => topic !== 4);
    jsonOf(await dpmesh(update('gone', back, 'back', '--half-life', 500)));
    const labels = labelsOf(path('back')).data;
    const [{ what, id }, ...others] = lineageOf(path('back')).lineage;
    assert.deepEqual([what, both.includes(id), others], ['returned', true, []]);
    const before = await predict({ run: path('run-b'), data: back });
    const kept = before.labels.filter((label, i) => label === labels[i]).length;
    assert.ok(kept >= 0.98 * before.rows, `${kept} of ${before.rows}`);
  });
});

describe('what an update does with', () => {
  test('near copies: they are one row of the graph, also of a run that is resumed', () => {
    const [newest] = checkpointsOf(path('run-a')).reverse();
    const { state } = decodeCheckpoint(
      readFileSync(join(path('run-a'), 'checkpoints', newest)),
    ) as ClusterCheckpoint;
    const { of } = state.graph!.copies!;
    assert.equal(of.filter((group, row) => group !== row).length, 8);
    assert.equal(state.graph!.labels.length, of.length - 8);
    assert.ok(!existsSync(join(path('run-a'), 'copies.npy')));
  });

  test('outliers: they are labelled, and no rows of the graph', async () => {
    const change = (row: number, x: number, column: number) =>
      column === 3 && row % 100 === 7 ? (row % 200 === 7 ? 1e4 : -2e4) : x;
    const odd = (name: string, from: number, to: number) =>
      writeRows(
        path(name),
        times(to - from, (i) =>
          all.rows
            .slice((from + i) * MANY, (from + i + 1) * MANY)
            .map((x, column) => change(from + i, x, column)),
        ),
      );
    jsonOf(await dpmesh(trainArgs(odd('odd.npy', 0, 600), path('odd'), '--no-http')));
    const { outliers } = jsonOf(await dpmesh(update('odd', odd('odd-2.npy', 600, 900), 'odd-2')));
    assert.equal(outliers, 3);
    const { ids, lineage } = lineageOf(path('odd-2'));
    assert.deepEqual([[...ids].sort(), lineage], [[0, 1, 2, 3, 4, 5], []]);
    assert.ok(purity(labelsOf(path('odd-2')).data, [...all.classes.subarray(600, 900)]) >= 0.99);
  });
});
