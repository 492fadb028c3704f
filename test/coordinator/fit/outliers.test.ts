import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setOutliersApart } from '../../../coordinator/fit/reading/outliers.ts';
import { sampledCounts } from '../../../coordinator/fit/sample.ts';
import type { Dispatcher } from '../../../coordinator/rounds/dispatcher.ts';
import { createRound, type RoundSpec } from '../../../coordinator/rounds/round.ts';
import { countFlags, outliersIn } from '../../../data/steps/fences.ts';
import { layoutOf } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { mean, scatter } from '../../../model/statistics.ts';
import type { Tensors } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import { createStates } from '../../../tasks/compute/context.ts';
import { runTask } from '../../../tasks/compute/table.ts';
import { TASKS, type Task } from '../../../tasks/table.ts';
import { backends } from '../../worker/present.ts';
import { contextOf, hashesState, memoryBlocks } from '../../worker/support.ts';
import { assertClose, type Point, randomNumbers, statisticsOf } from './support.ts';

const [backend] = backends;
const config = (over: Partial<RunConfig> = {}) =>
  ({ covariance: 'full', transform: 'standard', schedule: 'fast', ...over }) as RunConfig;

/** Finds the outliers among these rows; a share of them is in the sample. */
async function apart(rows: Point[], over: Partial<RunConfig> = {}, { sample = 1 } = {}) {
  const dim = rows[0].length;
  const raw = Float32Array.from(rows.flat());
  const layout = layoutOf(rows.length, dim, 4, 3n);
  const states = createStates(backend);
  const hashes = hashesState(raw, layout);
  const context = contextOf(backend, states, memoryBlocks(raw, dim), layout);
  const tasks: string[] = [];
  let version = 0;
  const dispatcher = {
    publish: (name: string, tensors: Tensors) => void states.put(name, ++version, tensors),
    async round(spec: RoundSpec) {
      const [task] = spec.tasks;
      tasks.push(task.task);
      const get = (name: string) => states.get(name);
      TASKS.checkRound(layout, get, { tasks: [task], units: spec.units, sum: spec.sum ?? false });
      const round = createRound(1, spec, new Map(), TASKS.resultCheck(layout, [task], get), 0);
      round.assign('w1', [...spec.units.keys()]);
      for (const [i, unit] of spec.units.entries()) {
        const result = await runTask(context, task as Task, unit);
        assert.equal(round.judge('w1', [i], [result]), 'accepted');
        round.accept('w1', [i], [result]);
      }
      return round.results();
    },
  } as unknown as Dispatcher;
  const float = rows.map((row) => row.map(Math.fround));
  const column = (d: number) => float.map((row) => row[d]);
  const T = statisticsOf(float);
  const reduced = (choose: (a: number, b: number) => number) =>
    Float64Array.from(rows[0], (_, d) => column(d).reduce((a, b) => choose(a, b)));
  const data: DataMoments = {
    sampleRows: await sampledCounts(layout, sample),
    hashes: hashes.blocks.data as Uint8Array,
    fences: null,
    moments: {
      rows: rows.length,
      mean: mean(T, dim),
      covariance: scatter(T, dim, 'full').map((value) => value / (rows.length - 1)),
      min: reduced(Math.min),
      max: reduced(Math.max),
    },
  };
  const found = await setOutliersApart({ config: config(over), layout, dispatcher, sample }, data);
  const flags = found.fences ? outliersIn(raw, dim, found.fences) : new Uint8Array(rows.length);
  return { found, data, flags, outliers: countFlags(flags), tasks, layout };
}

const { normal, uniform } = randomNumbers(11);
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const gauss = (count: number, dim = 2) => times(count, () => times(dim, () => normal()));
const CENTRES = [
  [0, 0],
  [10, 0],
  [0, 10],
  [10, 10],
  [5, 20],
];
const five = (count: number) => times(count, (i) => CENTRES[i % 5].map((centre) => centre + normal()));
const far = (count: number, size: number, dim = 2) => times(count, () => times(dim, () => size * normal()));

describe('rows far from all others', () => {
  test('are outliers; moments are those of the other rows', async () => {
    const rows = five(6000);
    const { found, flags, layout, tasks } = await apart([...rows, ...far(10, 1e4)]);
    const outliers = [...flags.keys()].filter((row) => flags[row]);
    assert.ok(outliers.length >= 9 && outliers.every((row) => row >= 6000), outliers.join());
    const inside = rows.map((row) => row.map(Math.fround));
    const T = statisticsOf(inside);
    if (outliers.length === 10) {
      assertClose(found.moments.mean, mean(T, 2), 1e-9);
      assertClose(
        found.moments.covariance,
        scatter(T, 2, 'full').map((value) => value / 5999),
        1e-9,
      );
      const { min, max } = found.moments;
      assert.deepEqual(
        [...min],
        [0, 1].map((d) => inside.reduce((a, row) => Math.min(a, row[d]), 0)),
      );
      assert.deepEqual([...found.fences!.most], [...max]);
    }
    assert.equal(
      found.sampleRows.reduce((a, b) => a + b, 0),
      layout.rows - outliers.length,
    );
    assert.ok(tasks.length <= 6, tasks.join());
  });

  for (const size of [1e3, 1e6, 1e17])
    test(`of size ${size}, and also if the first row is one`, async () => {
      const { outliers, flags } = await apart([[size, -size], ...five(3000), ...far(5, size)]);
      assert.ok(flags[0] && outliers >= 5 && outliers <= 6, `${outliers}`);
    });

  test('are found if none of them is in the sample', async () => {
    const rows = five(8000);
    const priorityOf = priority(3n);
    const unseen = times(rows.length, (i) => i).filter((i) => priorityOf(i) > 0.3);
    for (let i = 0; i < 6; i++) rows[unseen[100 * i]] = [1e5, 3];
    const { outliers, found, data } = await apart(rows, {}, { sample: 0.3 });
    assert.equal(outliers, 6);
    assert.deepEqual(found.sampleRows, data.sampleRows);
  });

  test('in a small file: as few as no cluster could have', async () => {
    assert.equal((await apart([...gauss(100), [1e6, 0], [3e5, 1e6]])).outliers, 2);
    assert.equal((await apart([...gauss(50), [1e6, 0]])).outliers, 1);
  });

  test('in one column only', async () => {
    const rows = five(3000).map(([x, y], i) => [x, y, 5e-5 * normal(), i === 70 ? 900 : normal()]);
    const { found, outliers } = await apart(rows, { covariance: 'diag' });
    assert.deepEqual([[...found.fences!.columns], outliers], [[3], 1]);
  });

  test('beside an integer column of which most numbers are equal', async () => {
    const rows = five(3000).map(([x, y], i) => [x, y, i % 10 ? 4 : i % 7]);
    rows[5][2] = 1e7;
    const { found, outliers } = await apart(rows);
    assert.deepEqual([[...found.fences!.columns], outliers], [[2], 1]);
  });
});

describe('no row is an outlier', () => {
  const same = async (rows: Point[], over: Partial<RunConfig> = {}, rounds?: number) => {
    const { found, data, tasks } = await apart(rows, over);
    assert.equal(found, data, 'the very moments that it was given');
    if (rounds !== undefined) assert.equal(tasks.length, rounds, tasks.join());
  };
  test('of Gaussians, and no round is needed', async () => {
    await same(gauss(8000), {}, 0);
    await same(five(8000), {}, 0);
    await same(gauss(8000), { covariance: 'diag' }, 0);
  });
  test('with --schedule paper, or of rows of unit length', async () => {
    const rows = [...five(2000), ...far(5, 1e4)];
    await same(rows, { schedule: 'paper' }, 0);
    await same(rows, { transform: 'normalize' }, 0);
  });
  test('of a small cluster 12 standard deviations off', () =>
    same([...gauss(5000), ...gauss(20).map(([x, y]) => [x + 12, y])]));
  test('of lognormal columns', async () => {
    for (const sigma of [1, 2]) await same(times(8000, () => times(3, () => Math.exp(sigma * normal()))));
  });
  const t = (freedom: number) =>
    normal() / Math.sqrt(times(freedom, () => normal() ** 2).reduce((a, b) => a + b) / freedom);
  for (const freedom of [1, 2, 3])
    test(`of a t distribution with ${freedom} degrees of freedom`, () =>
      same(times(8000, () => times(4, () => t(freedom)))));
  test('if they are more than one in a hundred', () => same([...five(2000), ...far(80, 1e4)]));
  test('of sparse columns', () =>
    same(times(4000, () => times(40, () => (uniform() < 0.004 ? 255 * uniform() : 0)))));
  test('of a column that differs in a single row', () =>
    same(times(2000, (i) => [normal(), i === 9 ? 1e6 : 0])));
  test('of duplicates, and of all rows equal', async () => {
    await same(times(3000, (i) => CENTRES[i % 3]));
    await same(times(300, () => [7, 7]));
  });
  test('of a handful of rows', () => same([...gauss(9), [1e6, 0]]));
});

test('a column whose rows thin out does not hide the outliers of another', async () => {
  const rows = times(6000, (i) => [normal() / normal(), i < 5 ? 1e5 * (i + 1) : normal()]);
  const { found, outliers } = await apart(rows);
  assert.deepEqual([[...found.fences!.columns], outliers], [[1], 5]);
});
