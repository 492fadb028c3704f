import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dispatcher } from '../../../coordinator/scheduler/dispatcher.ts';
import { Round, type RoundSpec } from '../../../coordinator/scheduler/round.ts';
import { labelAllRows } from '../../../coordinator/training/full-pass.ts';
import type { Run } from '../../../coordinator/training/run-context.ts';
import { layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { nothingShown } from '../support.ts';

const layout = layoutOf(20_000, 2, 2, 7n);

/** The round that the full pass asks for. */
async function roundOfFullPass(): Promise<Round> {
  let asked: RoundSpec | undefined;
  const dispatcher = {
    round: (spec: RoundSpec) => {
      asked = spec;
      return Promise.reject(new Error('enough'));
    },
  } as unknown as Dispatcher;
  const run = { config: { soft: false, covariance: 'diag' }, d: 2, dispatcher } as unknown as Run;
  const pieces = () => ({ write() {}, async update() {}, async finish() {}, abort() {} });
  await assert.rejects(labelAllRows(run, layout, 2, null, { pieces }), /enough/);
  return new Round(1, asked!, new Map(), 0);
}

/** The labelling of a unit all of whose rows are (1, 1), in turn 0 and 1; with these rows for the silhouette. */
function labelling(rows: number, seen: number[], labelOf = (row: number) => row % 2): Tensors {
  const T = new Float64Array(10);
  for (let i = 0; i < rows; i++) for (let p = 0; p < 5; p++) T[(i % 2) * 5 + p]++;
  return {
    labels: nd(Uint8Array.from({ length: rows }, (_, i) => i % 2)),
    T: nd(T),
    seen: nd(new Float32Array(2 * seen.length).fill(1), seen.length, 2),
    seenLabels: nd(Int32Array.from(seen, labelOf)),
    ...nothingShown(rows, 2, 2),
  };
}

test('a worker does not choose how many rows the silhouette is computed of, nor their labels', async () => {
  const round = await roundOfFullPass();
  const [unit] = round.spec.units;
  const own = shardBlocks(layout)[unit.shard].slice(unit.from, unit.to);
  const indices = own.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));
  const [task] = round.spec.tasks;
  assert.ok(task.task === 'full-pass');
  const priorityOf = priority(7n);
  const seen = [...indices.keys()].filter((i) => priorityOf(indices[i]) < task.silhouette);
  assert.ok(seen.length > 300 && seen.length < 700, `${seen.length}`);
  round.assign('w1', [0]);
  const verdict = (result: Tensors) => round.judge('w1', [0], [result]);
  assert.equal(verdict(labelling(indices.length, seen)), 'accepted');
  assert.equal(verdict(labelling(indices.length, [...indices.keys()])), 'wrong shape');
  assert.equal(verdict(labelling(indices.length, seen.slice(1))), 'wrong shape');
  assert.equal(verdict(labelling(indices.length, [])), 'wrong shape');
  assert.equal(verdict(labelling(indices.length, seen, (row) => 1 - (row % 2))), 'wrong shape');
});
