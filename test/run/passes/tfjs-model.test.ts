import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import type { Transform } from '../../../data/transform.ts';
import type { TransformChoice } from '../../../data/transform-choice.ts';
import { planFeatures, planTransform } from '../../../data/transform-plan.ts';
import { eStepOf } from '../../../model/gaussian/estep.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { clusteringNet, layersOf, type Net } from '../../../model/nets/net.ts';
import type { Classifier } from '../../../model/state.ts';
import { mean, scatter } from '../../../model/statistics.ts';
import { layersModel } from '../../../run/passes/tfjs-model.ts';
import { assertClose, blobs, type Point, statisticsOf } from '../../coordinator/fit/support.ts';

const D = 4;
/** Columns of different scales; the third is constant. */
const { rows } = blobs(
  1,
  [
    [0, 0, 0, 0],
    [4, -2, 0, 1],
  ],
  40,
);
for (const row of rows) {
  row[0] = 100 + 50 * row[0];
  row[2] = 7;
  row[3] *= 0.01;
}

function transformOf(choice: TransformChoice): Transform {
  const T = statisticsOf(rows);
  const extreme = (pick: (...values: number[]) => number) =>
    Float64Array.from({ length: D }, (_, d) => pick(...rows.map((row) => row[d])));
  return planTransform(choice, {
    rows: rows.length,
    mean: mean(T, D),
    covariance: scatter(T, D, 'full').map((value) => value / (rows.length - 1)),
    min: extreme(Math.min),
    max: extreme(Math.max),
  }).transform;
}

/** A net with biases, and weights large enough to separate the rows. */
function netOf(hidden: number[], d: number, k: number): Net {
  const net = clusteringNet(5n, d, hidden, k);
  return {
    ...net,
    params: net.params.map((values, i) =>
      i % 2 ? values.map((_, j) => 0.3 * j - 0.4) : values.map((v) => 2 * v),
    ),
  };
}

/** What labels rows by such a net, or by Gaussians of unlike shapes. */
const netWith = (hidden: number[], d: number, k: number): Classifier => ({
  net: layersOf(netOf(hidden, d, k)),
});
function gaussians(d: number, k: number): Classifier {
  const mixture: Mixture = {
    ...{ k, d, covariance: 'full', weights: Float64Array.from({ length: k }, (_, c) => (c + 1) / 6) },
    means: Array.from({ length: k }, (_, c) => new Float64Array(d).fill(c - 1)),
    covariances: Array.from({ length: k }, (_, c) =>
      Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0.3 : 1 + c)),
    ),
  };
  return { mixture: eStepOf(mixture, new Float64Array(d).fill(1), 'cholesky') };
}

/** Of rows moved, columns of unlike units scaled, and then scaled to unit length; the third column is left out. */
function features(): Transform {
  const centre = Float64Array.from(
    rows[0],
    (_, d) => rows.reduce((sum, row) => sum + row[d], 0) / rows.length,
  );
  const factor = Float64Array.of(0.02, 1, 1, 100);
  const units = rows.map((row) =>
    unitRow(row.map((value, d) => (d === 2 ? 0 : (value - centre[d]) * factor[d]))),
  );
  const T = statisticsOf(units);
  return planFeatures({
    centre,
    factor,
    kept: [0, 1, 3],
    mean: mean(T, D),
    covariance: scatter(T, D, 'full').map((value) => value / (rows.length - 1)),
    axes: 64,
    fences: null,
  }).transform;
}

const unitRow = (row: Point) => row.map((value) => value / (Math.hypot(...row) || 1));

/** Responsibilities of raw rows, computed from the definition in float64. */
function byHand(by: Classifier, transform: Transform, raw: Point): number[] {
  const { before, columns, weights, bias, dim, input } = transform;
  const row = before ? unitRow(raw.map((value, d) => value * before.factor[d] + before.shift[d])) : raw;
  let x = Array.from({ length: dim }, (_, d) => {
    if (columns) return row[columns[d]] * weights[d] + bias[d];
    return bias[d] + row.slice(0, input).reduce((sum, value, i) => sum + value * weights[i * dim + d], 0);
  });
  const affine = (w: Float32Array, b: Float32Array) =>
    Array.from(b, (value, j) => value + x.reduce((sum, v, i) => sum + v * w[i * b.length + j], 0));
  if ('net' in by)
    for (const [l, layer] of by.net.entries()) {
      const out = affine(layer.weights, layer.bias);
      x = l + 1 < by.net.length ? out.map((value) => Math.max(0, value)) : out;
    }
  else {
    const u = affine(by.mixture.weights, by.mixture.bias);
    x = Array.from(by.mixture.constant, (constant, c) =>
      u.slice(c * dim, (c + 1) * dim).reduce((sum, value) => sum - value ** 2 / 2, constant),
    );
  }
  const top = Math.max(...x);
  const total = x.reduce((sum, value) => sum + Math.exp(value - top), 0);
  return x.map((value) => Math.exp(value - top) / total);
}

async function load({ json, weights }: { json: object; weights: Buffer }) {
  const { modelTopology, weightsManifest } = JSON.parse(JSON.stringify(json));
  return loadLayersModel(
    tf.io.fromMemory({
      modelTopology,
      weightSpecs: weightsManifest[0].weights,
      weightData: Uint8Array.from(weights).buffer,
    }),
  );
}

describe('layersModel', () => {
  for (const [choice, hidden] of [
    ['center', [6]],
    ['standard', [5, 3]],
    ['none', []],
    ['min-max', [6]],
    ['pca:2', [6]],
    ['standard', null],
    ['pca:2', null],
    ['pca:1', null],
  ] as [TransformChoice, number[] | null][]) {
    const name = hidden ? `hidden ${hidden.join(',') || 'none'}` : 'Gaussians';
    test(`is a TensorFlow.js model from raw rows to responsibilities (${choice}, ${name})`, async () => {
      const transform = transformOf(choice);
      const by = hidden ? netWith(hidden, transform.dim, 3) : gaussians(transform.dim, 3);
      const model = await load(layersModel(by, transform));
      const output = model.predict(tf.tensor2d(rows, [rows.length, D])) as tf.Tensor;
      assert.deepEqual(output.shape, [rows.length, 3]);
      const expected = rows.map((row) => byHand(by, transform, row));
      assertClose(await output.data(), expected.flat(), 2e-5);
      // Rows must differ in their cluster, or the comparison would be meaningless.
      assert.ok(new Set(expected.map((r) => r.indexOf(Math.max(...r)))).size > 1);
    });
  }

  test('columns that are moved before rows are scaled to unit length, and that, are layers too', async () => {
    const transform = features();
    const by = netWith([6], transform.dim, 3);
    const { json, weights } = layersModel(by, transform);
    const model = await load({ json, weights });
    // A row that becomes zeros, and one a million times as long as the others.
    const { factor, shift } = transform.before!;
    const centre = Array.from(shift, (value, d) => (factor[d] ? -value / factor[d] : 9));
    const far = rows[0].map((value, d) => centre[d] + 1e6 * (value - centre[d]));
    const input = [...rows, centre.map(Math.fround), far];
    const output = model.predict(tf.tensor2d(input, [input.length, D])) as tf.Tensor;
    const expected = input.map((row) => byHand(by, transform, row));
    const actual = await output.data();
    assertClose(actual, expected.flat(), 2e-5);
    assert.ok(new Set(expected.map((r) => r.indexOf(Math.max(...r)))).size > 1);
    // Without them it would be another.
    const rest = layersModel(by, { ...transform, before: null });
    assert.equal(weights.length - rest.weights.length, 4 * (4 * D + 2 + 2));
    const raw = (await load(rest)).predict(tf.tensor2d(input, [input.length, D])) as tf.Tensor;
    assert.ok((await raw.data()).some((value, i) => Math.abs(value - expected.flat()[i]) > 0.1));
  });

  test('names its layers, and its files as the manifest says', () => {
    const { json, weights } = layersModel(netWith([6, 5], 3, 2), transformOf('center'));
    const { format, modelTopology, weightsManifest } = JSON.parse(JSON.stringify(json));
    assert.equal(format, 'layers-model');
    const names = modelTopology.config.layers.map(({ config }: { config: { name: string } }) => config.name);
    assert.deepEqual(names, ['rows', 'transform', 'hidden_1', 'hidden_2', 'clusters', 'responsibilities']);
    assert.deepEqual(weightsManifest[0].paths, ['weights.bin']);
    const sizes = weightsManifest[0].weights.map(({ shape }: { shape: number[] }) =>
      shape.reduce((a, b) => a * b),
    );
    assert.equal(weights.length, 4 * sizes.reduce((a: number, b: number) => a + b));
    assert.deepEqual(weightsManifest[0].weights[0], {
      name: 'transform/kernel',
      shape: [4, 3],
      dtype: 'float32',
    });
  });
});
