// Sample rows whose columns are on a grid are spread over its steps; the full pass has them as they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Transform } from '../../data/transform.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { generator } from '../../model/random.ts';
import { transformRows, transformSample } from '../../worker/rows.ts';
import { backends } from './present.ts';
import { D, matrixOf, momentsOf, world } from './support.ts';

const { raw } = world();
const { mean, covariance } = momentsOf(matrixOf(raw, D));
const limits = { min: new Float64Array(D).fill(-1e3), max: new Float64Array(D).fill(1e3) };
const moments = { rows: raw.length / D, mean, covariance, ...limits };
const grid = { size: Float32Array.from({ length: D }, (_, column) => (column === 1 ? 4 : 0)) };
const transform: Transform = { ...planTransform('center', moments).transform, grid };

for (const backend of backends)
  test(`rows are spread over the steps of one column, by the seed, on ${backend.identity}`, async () => {
    const exact = await transformRows(backend, transform, raw.slice());
    const spread = async (seed: bigint) =>
      (await transformSample(backend, transform, raw.slice(), generator(seed, 'grid', 0))).rows;
    const found = await spread(1n);
    assert.deepEqual(await spread(1n), found);
    assert.notDeepEqual(await spread(2n), found);
    const moved = found.map((value, p) => value - exact.rows[p]);
    const of = (column: number) => moved.filter((_, p) => p % D === column);
    for (let column = 0; column < D; column++)
      if (column !== 1) assert.ok(of(column).every((by) => by === 0));
    const own = of(1);
    assert.ok(own.every((by) => Math.abs(by) <= 2.001));
    assert.ok(Math.min(...own) < -1.5 && Math.max(...own) > 1.5);
  });
