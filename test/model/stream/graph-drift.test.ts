import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromRaw, missedLength, modelRows } from '../../../data/transform.ts';
import { planFeatures } from '../../../data/transform-plan.ts';
import { generator } from '../../../model/random.ts';
import { addRow, covarianceOf, mean, statisticsLength } from '../../../model/statistics.ts';
import { alarmsOf, graphDriftOf } from '../../../model/stream/drift.ts';
import type { Alarm } from '../../../model/stream/findings.ts';

const [TOPICS, COLUMNS, AXES, ROWS] = [8, 80, 24, 500];

/** Rows about random directions, with noise in all columns, of which the last topic is not among the first rows; and the axes of these. */
function stream(seed: number) {
  const rng = generator(String(seed), 'graph-drift-test');
  const centres = Array.from({ length: TOPICS }, () =>
    Float64Array.from({ length: COLUMNS }, () => rng.normal()),
  );
  const draw = (n: number, late = 0, change = (x: number, _column: number) => x) => {
    const labels = Int32Array.from({ length: n }, (_, i) =>
      i < late * n ? TOPICS - 1 : rng.below(TOPICS - 1),
    );
    const raw = Float32Array.from({ length: n * COLUMNS }, (_, p) => {
      const column = p % COLUMNS;
      const value =
        centres[labels[Math.floor(p / COLUMNS)]][column] + 1.5 * (1 + column / 10) ** -0.5 * rng.normal();
      return change(value, column);
    });
    // By the net, a new topic goes to one of the others.
    return { raw, labels: labels.map((label) => label % (TOPICS - 1)) };
  };
  const first = draw(ROWS);
  const length = (i: number) => Math.hypot(...first.raw.subarray(i * COLUMNS, (i + 1) * COLUMNS));
  const T = new Float64Array(statisticsLength(COLUMNS, 'full'));
  const units = Float64Array.from(first.raw, (x, p) => x / length(Math.floor(p / COLUMNS)));
  for (let i = 0; i < ROWS; i++) addRow(T, units, i * COLUMNS, COLUMNS, 'full');
  const { transform } = planFeatures({
    ...{ centre: new Float64Array(COLUMNS), factor: new Float64Array(COLUMNS).fill(1), fences: null },
    ...{ kept: [...Array(COLUMNS).keys()], axes: AXES },
    ...{ mean: mean(T, COLUMNS), covariance: covarianceOf(T, COLUMNS, 'full', ROWS) },
  });
  const compared = ({ raw, labels }: ReturnType<typeof draw>) => {
    const y = fromRaw(transform, raw);
    return { labels, rows: modelRows(transform, y), missed: missedLength(transform, y) };
  };
  const before = compared(first);
  const about = { d: AXES, k: TOPICS, sample: ROWS };
  return (...args: Parameters<typeof draw>) => graphDriftOf(before, compared(draw(...args)), about).drift;
}

describe('drift of a graph run', () => {
  test('of rows of the same distribution: no alarm in nine batches', () => {
    const alarms: Alarm[] = [];
    for (let seed = 0; seed < 3; seed++) {
      const of = stream(seed);
      for (const rows of [50, 300, 800]) {
        const drift = of(rows);
        alarms.push(...alarmsOf(drift));
        assert.ok(drift.apart < 0.01, `${drift.apart} of ${rows} rows apart`);
      }
    }
    assert.deepEqual(alarms, []);
  });

  test('a new topic of a fifth of the rows: they are among each other', () => {
    for (let seed = 0; seed < 3; seed++) {
      const drift = stream(seed)(500, 0.2);
      assert.ok(drift.apart > 0.1, String(drift.apart));
      assert.ok(alarmsOf(drift).includes('apart'));
    }
  });

  test('columns that are shuffled: the axes miss them', () => {
    const of = stream(3);
    const drift = of(800, 0, (x, column) => (column % 2 ? -x : x));
    assert.ok(alarmsOf(drift).includes('missed'), JSON.stringify(drift));
  });

  test('a few rows, and one, are no drift', () => {
    const of = stream(5);
    for (let i = 0; i < 10; i++) assert.deepEqual(alarmsOf(of(1 + i)), []);
  });
});
