import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindsOf } from '../../../coordinator/fit/preparation/kinds.ts';
import type { Moments } from '../../../data/transform.ts';
import type { TransformChoice } from '../../../data/transform-choice.ts';
import { planTransform } from '../../../data/transform-plan.ts';
import { generator } from '../../../model/random.ts';
import { covarianceOf, mean } from '../../../model/statistics.ts';
import { statisticsOf } from '../../model/support.ts';

const N = 500;
const rng = generator(3n, 'kinds');
const drawn = Array.from({ length: N }, () => ({
  noise: rng.normal(),
  flag: rng.below(2),
  of: rng.below(3),
}));
/** Noise; two values; three that exclude each other, of which each row has one; counts; two of a named category. */
const ROWS = drawn.map(({ noise, flag, of }, i) => [
  noise,
  flag ? 7.5 : -1,
  ...[0, 1, 2].map((c) => (of === c ? 1 : 0)),
  i % 4,
  ...[0, 1].map((c) => (i % 3 === c ? 1 : 0)),
]);

function found(
  choice: TransformChoice,
  rows = ROWS,
  categories = new Map([['plan', [6, 7]]]),
  grid: Float32Array | null = null,
) {
  const d = rows[0].length;
  const T = statisticsOf(Float64Array.from(rows.flat()), d, 'full');
  const moments: Moments = {
    rows: rows.length,
    mean: mean(T, d),
    covariance: covarianceOf(T, d, 'full', rows.length),
    min: Float64Array.from({ length: d }, (_, j) => Math.min(...rows.map((row) => row[j]))),
    max: Float64Array.from({ length: d }, (_, j) => Math.max(...rows.map((row) => row[j]))),
  };
  const { transform } = planTransform(choice, moments);
  return {
    transform,
    found: kindsOf({ transform, moments, rows: rows.length, categories, names: null, grid }),
  };
}

test('columns of two values, those that exclude each other, and categories', () => {
  for (const choice of ['auto', 'center', 'min-max', 'none'] as const) {
    const { transform, found: own } = found(choice);
    assert.deepEqual(own!.kinds!.continuous, [0, 5]);
    assert.deepEqual(own!.kinds!.categories.map(({ columns }) => columns).sort(), [[1], [2, 3, 4], [6, 7]]);
    assert.match(
      own!.why,
      /^columns 1, 2, 3, 4 \(counted from 0\) have two values, and column plan has categories: /,
    );
    const flag = own!.kinds!.categories.find(({ columns }) => columns[0] === 1)!;
    const { offset } = transform;
    if (choice === 'none' || choice === 'center') assert.ok(Math.abs(flag.step[0] - 8.5) < 1e-5);
    if (choice === 'none') assert.ok(Math.abs(flag.low[0] + offset[1] + 1) < 1e-5);
  }
});

test('a column without variance is in none', () => {
  const rows = ROWS.map(([noise, flag]) => [noise, 3, flag]);
  const { found: own } = found('auto', rows, new Map());
  assert.deepEqual(
    own!.kinds!.categories.map(({ columns }) => columns),
    [[1]],
  );
});

test('none where a third value is, where columns are mixed, many, or one category', () => {
  const rows = ROWS.map(([noise, flag], i) => [noise, i === 7 ? 0 : flag]);
  assert.equal(found('auto', rows, new Map()).found, null);
  assert.equal(
    found(
      'auto',
      ROWS.map((row) => row.slice(2, 4)),
      new Map(),
    ).found,
    null,
  );
  assert.equal(found('normalize').found, null);
  assert.equal(found('pca:3').found, null);
  const many = ROWS.map(([, flag]) => [...Array.from({ length: 32 }, () => rng.normal()), flag]);
  assert.equal(found('auto', many, new Map()).found, null);
});

test('columns on a grid', () => {
  const grid = Float32Array.of(0, 0, 0, 0, 0, 1, 0, 0);
  const { found: own } = found('auto', ROWS, new Map([['plan', [6, 7]]]), grid);
  assert.equal(own!.grid, grid);
  assert.match(own!.why, /; column 5 \(counted from 0\) has few values, at equal steps: /);
  const { found: alone } = found(
    'center',
    ROWS.map((row) => [row[0], row[5]]),
    new Map(),
    Float32Array.of(0, 1),
  );
  assert.equal(alone!.kinds, null);
  assert.equal(found('pca:2', ROWS, new Map(), grid).found, null);
});
