// The models of a run for other programs: that of TensorFlow.js, as docs/run-directory.md says that others may use it, and ONNX.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
import '@tensorflow/tfjs-backend-cpu';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { parse } from 'csv-parse/sync';
import * as ort from 'onnxruntime-web';
import { normalizeRows } from '../../data/steps/unit.ts';
import { exportModel } from '../../library/export/export.ts';
import { predict } from '../../library/predict-files.ts';
import { outlierScore } from '../../model/description/distances.ts';

/** Labels of raw rows by the exported model; of rows scaled to unit length, if layers of the model do not do that. */
export async function exportedLabels(run: string, rows: Float32Array, dim: number): Promise<number[]> {
  const read = (name: string) => readFileSync(join(run, 'model', name));
  const { modelTopology, weightsManifest } = JSON.parse(read('model.json').toString());
  const weightData = Uint8Array.from(read(weightsManifest[0].paths[0])).buffer;
  const weightSpecs = weightsManifest[0].weights;
  const model = await loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  const input = rows.slice();
  const { unit, before } = readModel(runFiles(run)).model;
  if (unit && !before) normalizeRows(input, dim);
  const output = model.predict(tf.tensor2d(input, [rows.length / dim, dim]), {
    batchSize: 2048,
  }) as tf.Tensor;
  const labels = [...(await tf.argMax(output, -1).data())];
  model.dispose();
  return labels;
}

/** What the exported ONNX model says of raw rows; all of its outputs have one value a row, but `probabilities` K. */
async function onnxOutputs(run: string, rows: Float32Array, dim: number) {
  const onnx = `${run}.onnx`;
  await exportModel({ run, onnx, force: true });
  const session = await ort.InferenceSession.create(readFileSync(onnx));
  const given = new ort.Tensor('float32', rows.slice(), [rows.length / dim, dim]);
  const outputs = await session.run({ rows: given });
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as ArrayLike<number>, Number)]),
  );
}

/** Fails unless the exported ONNX model says of rows what `predict` does, but for at most so many labels. */
export async function assertOnnxPredicts(
  run: string,
  rows: Float32Array,
  dim: number,
  most = 0,
): Promise<void> {
  const found = await onnxOutputs(run, rows, dim);
  const data = { values: rows, columns: dim };
  const out = `${run}-predicted.csv`;
  const { labels, components, responsibilities } = await predict({
    ...{ run, data, out, soft: true, components: true, force: true },
  });
  const table = parse(readFileSync(out), {
    columns: true,
    cast: (value, { header }) => (header ? value : Number(value)),
  }) as Record<string, number>[];
  const differ = [...labels].filter((label, row) => label !== found.label[row]).length;
  assert.ok(differ <= most, `${differ} of ${labels.length} labels differ`);
  const gap = (a: ArrayLike<number>, b: readonly number[]) =>
    b.reduce((largest, value, i) => Math.max(largest, Math.abs(value - a[i])), 0);
  assert.ok(
    gap(responsibilities!, found.probabilities) < 1e-4,
    `${gap(responsibilities!, found.probabilities)}`,
  );
  const broken = await onnxOutputs(
    run,
    Float32Array.from([...rows.subarray(0, dim - 1), Number.NaN, ...rows.subarray(0, dim)]),
    dim,
  );
  const numbers = ['label', 'component'];
  for (const name of numbers) assert.deepEqual(broken[name], [-1, found[name][0]]);
  assert.ok(
    Object.keys(found)
      .filter((name) => !numbers.includes(name))
      .every((name) => Number.isNaN(broken[name][0])),
  );
  const densities = 'log_density' in table[0] ? ['log_density'] : [];
  // Between two components of its cluster, last bits decide from which a row is measured.
  const isJoined = existsSync(join(run, 'mixture/clusters.npy'));
  const allowed = isJoined ? Math.max(most, Math.ceil(table.length / 10_000)) : most;
  const elsewhere = components!.filter((component, row) => component !== found.component[row]).length;
  assert.ok(elsewhere <= allowed, `component of ${elsewhere} rows`);
  for (const name of ['confidence', 'distance', ...densities]) {
    const off = table.filter(
      (row, i) => Math.abs(row[name] - found[name][i]) > 2e-3 * Math.max(1, Math.abs(row[name])),
    );
    assert.ok(off.length <= allowed, `${name} of ${off.length} rows`);
  }
  // A score is a rank: it is that of the exported distance, whose last bits may move it past many rows with nearly the same.
  const { quantiles } = readModel(runFiles(run)).model.distances!;
  const { ids } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')) as { ids?: number[] };
  const off = table.filter((row, i) => {
    const [score, label] = [found.outlier_score[i], found.label[i]];
    const expected = outlierScore(quantiles, ids ? ids.indexOf(label) : label, found.distance[i]);
    const isSetApart = row.outlier_score === 1 && score === 1;
    return !isSetApart && Math.abs(score - expected) > 2e-3;
  });
  assert.ok(off.length <= most, `outlier_score of ${off.length} rows`);
}
