import { UserError } from '../../base/user-error.ts';
import { type OnnxGraph, onnxGraph } from '../../data/onnx.ts';
import { mapInOnnx } from '../../data/steps/linear.ts';
import { logInOnnx } from '../../data/steps/log.ts';
import type { Value } from '../../data/steps/operators.ts';
import { transformInOnnx } from '../../data/transform.ts';
import type { RowDensities } from '../../model/description/densities.ts';
import { type Centres, MAX_FLOAT32, QUANTILE_STEPS, reachOf } from '../../model/description/distances.ts';
import { type Groups, memberships } from '../../model/gaussian/components.ts';
import { NOISE } from '../../model/order.ts';
import { centreWidth } from '../../model/statistics.ts';
import { columnsOf, largestOf, type TrainedModel } from '../trained-model.ts';

/**
 * What labels rows as an ONNX model: from the rows of the data, float32 [rows, columns], to `label` (int64), `probabilities` [rows, K],
 * and of each row `component` (int64), `confidence`, `distance`, `outlier_score` and `log_density`, as in labels.csv; -1 of noise, -1 and NaN for a row that cannot be labelled. The steps are those of `worker/rows.ts`.
 */

const ROWS = 'rows';

/**
 * The bytes of the ONNX model. `measured`: from where distances are measured and their quantiles, null for runs that have none.
 *
 * @throws {UserError} if unknown cells of rows are filled from other rows, for which there are no operators
 */
export function onnxModel(
  trained: TrainedModel,
  measured: TrainedModel['measured'],
  { run, version }: { run: string; version: string },
): Uint8Array {
  const {
    transform,
    encoder,
    classifier,
    byMixture,
    groups,
    k,
    noise,
    logged,
    names,
    ids,
    isGaussian,
    table,
  } = trained;
  if (transform.fill)
    throw new UserError(
      `${run} fills unknown cells by a regression on other rows, for which ONNX has no operator: use dpmesh serve or predict`,
    );
  const g = onnxGraph();
  const width = columnsOf(trained);
  let rows = logInOnnx(g, g.input(ROWS, 'float32', [ROWS, width]), width, logged);
  const numbers = g.cast(g.op('LessOrEqual', [g.op('Abs', [rows]), g.float(largestOf(trained))]), 'float32');
  /** Has the row only numbers that can be labelled? [rows, 1] and [rows]. */
  const isValid = g.cast(g.op('ReduceMin', [numbers], { axes: [1], keepdims: 1 }), 'bool');
  const isValidRow = g.op('Squeeze', [isValid, g.integers([1])]);
  const known = (value: Value, is = isValidRow) => g.op('Where', [is, value, g.float(Number.NaN)]);
  if (encoder) rows = dense(g, mapInOnnx(g, rows, encoder.input), encoder.layers);
  const { y, isOutlier } = transformInOnnx(g, rows, transform);
  const outputs = byMixture ? logDensities(g, y, classifier) : dense(g, y, classifier);

  const softmax = g.op('Softmax', [outputs], { axis: 1 });
  const best = g.op('ArgMax', [outputs], { axis: 1, keepdims: 0 });
  // A row so far from all components that its densities are 0.
  const sure = g.op('Where', [
    g.op('IsNaN', [softmax]),
    oneHot(g, best, classifier.at(-1)!.values.length),
    softmax,
  ]);
  const inClusters = groups
    ? g.op('MatMul', [sure, g.floats(memberships(groups), [groups.length, k])])
    : sure;
  const label = groups ? g.op('ArgMax', [inClusters], { axis: 1, keepdims: 0 }) : best;
  /** The component from whose centre distances are measured: the most likely one of the row's cluster. */
  const component = groups ? ofCluster(g, sure, label, groups) : best;
  const byId = ids ? g.op('Gather', [g.integers(ids), label]) : label;
  const own = g.op('Unsqueeze', [label, g.integers([1])]);
  const apart = noise && inBackground(g, outputs, noise);
  const probabilities = apart ? g.op('Mul', [inClusters, apart.rest]) : inClusters;
  const responsibility = g.op('Squeeze', [
    g.op('GatherElements', [probabilities, own], { axis: 1 }),
    g.integers([1]),
  ]);
  const isNoise = apart && g.op('Greater', [apart.share, responsibility]);
  const orNoise = (value: Value, ofNoise: Value) =>
    isNoise ? g.op('Where', [isNoise, ofNoise, value]) : value;
  const none = g.integers([NOISE]);
  for (const [name, value] of Object.entries({ label: byId, component }))
    g.output(g.op('Where', [isValidRow, orNoise(value, none), none]), name, 'int64', [ROWS]);
  g.output(known(probabilities, isValid), 'probabilities', 'float32', [ROWS, k]);
  const sureness = (value: Value) => (apart ? orNoise(value, apart.share) : value);
  if (measured) {
    const x = g.op('Mul', [y, g.floats(Float32Array.from(transform.scale))]);
    const distance = distances(g, x, component, measured.centres);
    const confidence = isGaussian
      ? g.op('Where', [
          g.op('Greater', [distance, g.float(reachOf(transform.dim))]),
          g.op('Div', [
            g.op('Mul', [responsibility, g.float(transform.dim)]),
            g.op('Mul', [distance, distance]),
          ]),
          responsibility,
        ])
      : responsibility;
    const score = outlierScores(g, distance, label, measured.quantiles);
    g.output(known(sureness(confidence)), 'confidence', 'float32', [ROWS]);
    g.output(known(distance), 'distance', 'float32', [ROWS]);
    const all = isOutlier ? g.op('Where', [isOutlier, g.float(1), score]) : score;
    g.output(known(orNoise(all, g.float(1))), 'outlier_score', 'float32', [ROWS]);
    if (measured.densities) {
      const density = apart?.density ?? rowDensities(g, x, outputs, measured.densities);
      g.output(known(density), 'log_density', 'float32', [ROWS]);
    }
  } else g.output(known(sureness(responsibility)), 'confidence', 'float32', [ROWS]);
  return g.encode({
    version,
    doc: `Labels rows with the ${k} clusters of a dpmesh run. The input has the columns of its data, in their order.`,
    metadata: {
      'dpmesh.clusters': JSON.stringify(ids ?? [...Array(k).keys()]),
      ...(names && { 'dpmesh.columns': JSON.stringify(names) }),
      ...(table.categories && { 'dpmesh.categories': JSON.stringify(table.categories) }),
    },
  });
}

/** 1 where a column is that of the row, else 0: [rows, k]. */
function oneHot(g: OnnxGraph, columns: Value, k: number): Value {
  const own = g.op('Unsqueeze', [columns, g.integers([1])]);
  return g.cast(g.op('Equal', [own, g.integers([...Array(k).keys()])]), 'float32');
}

/** The most likely component of each row among those of its cluster: `rowClusters`. */
function ofCluster(g: OnnxGraph, r: Value, label: Value, groups: Groups): Value {
  const isOwn = g.op('Equal', [g.op('Unsqueeze', [label, g.integers([1])]), g.integers([...groups])]);
  return g.op('ArgMax', [g.op('Where', [isOwn, r, g.float(-1)])], { axis: 1, keepdims: 0 });
}

type Layers = TrainedModel['classifier'];

const product = (g: OnnxGraph, rows: Value, [kernel, bias]: Layers): Value =>
  g.op('Gemm', [rows, g.floats(kernel.values, kernel.shape), g.floats(bias.values)]);

/** Kernel and bias of each layer in turn; all but the last are rectified. */
function dense(g: OnnxGraph, rows: Value, layers: Layers): Value {
  for (let i = 0; i < layers.length; i += 2) {
    rows = product(g, rows, layers.slice(i, i + 2));
    if (i + 2 < layers.length) rows = g.op('Relu', [rows]);
  }
  return rows;
}

/** constant_k − ½‖u_k‖² with u = y·weights + bias. */
function logDensities(g: OnnxGraph, y: Value, [weights, bias, constant]: Layers): Value {
  const k = constant.values.length;
  const u = g.op('Reshape', [product(g, y, [weights, bias]), g.integers([-1, k, bias.values.length / k])]);
  const squared = g.op('ReduceSumSquare', [u], { axes: [2], keepdims: 0 });
  return g.op('Add', [g.op('Mul', [squared, g.float(-0.5)]), g.floats(constant.values)]);
}

/** The distance of each row from the centre of its cluster: `distanceFrom`. */
function distances(g: OnnxGraph, x: Value, label: Value, { k, d, covariance, values }: Centres): Value {
  const width = centreWidth(d, covariance);
  const means = new Float32Array(k * d);
  const roots = new Float32Array(k * (covariance === 'full' ? d * d : d));
  for (let c = 0; c < k; c++) {
    const own = values.subarray(c * width, (c + 1) * width);
    means.set(own.subarray(0, d), c * d);
    if (covariance === 'diag') roots.set(own.subarray(d), c * d);
    else for (let i = 0, p = d; i < d; p += ++i) roots.set(own.subarray(p, p + i + 1), (c * d + i) * d);
  }
  const away = g.op('Sub', [x, g.op('Gather', [g.floats(means, [k, d]), label])]);
  if (covariance === 'diag') {
    const scaled = g.op('Mul', [away, g.op('Gather', [g.floats(roots, [k, d]), label])]);
    return g.op('ReduceL2', [scaled], { axes: [1], keepdims: 0 });
  }
  const root = g.op('Gather', [g.floats(roots, [k, d, d]), label]);
  const u = g.op('MatMul', [root, g.op('Unsqueeze', [away, g.integers([2])])]);
  return g.op('ReduceL2', [u], { axes: [1, 2], keepdims: 0 });
}

/** Of rows x, or by the outputs of the mixture: `logDensities`. */
function rowDensities(g: OnnxGraph, x: Value, outputs: Value, by: RowDensities): Value {
  const isOffset = 'offset' in by;
  const own = isOffset ? outputs : logDensities(g, x, whitenedLayers(by));
  const density = g.op('ReduceLogSumExp', [own], { axes: [1], keepdims: 0 });
  const sum = isOffset ? g.op('Add', [density, g.float(by.offset)]) : density;
  return g.op('Max', [sum, g.float(-MAX_FLOAT32)]);
}

/** Weights, bias and constant of u = x·weights + bias, with u = R(x − μ). */
function whitenedLayers({ constants, centres }: Exclude<RowDensities, { offset: number }>): Layers {
  const { k, d, covariance, values } = centres;
  const weights = new Float32Array(d * k * d);
  const bias = new Float32Array(k * d);
  for (let c = 0, p = 0; c < k; c++) {
    const mean = p;
    p += d;
    for (let i = 0; i < d; i++)
      for (let j = covariance === 'full' ? 0 : i; j <= i; j++, p++) {
        weights[j * k * d + c * d + i] = values[p];
        bias[c * d + i] -= values[p] * values[mean + j];
      }
  }
  const part = (own: Float32Array, ...shape: number[]) => ({ values: own, shape });
  return [part(weights, d, k * d), part(bias, k * d), part(Float32Array.from(constants), k)];
}

/** What rows have of a background, [rows] and what is left of it [rows, 1], and their log densities with it: `withNoise`. */
function inBackground(
  g: OnnxGraph,
  outputs: Value,
  { logDensity, offset }: NonNullable<TrainedModel['noise']>,
) {
  const sum = g.op('Add', [g.op('ReduceLogSumExp', [outputs], { axes: [1], keepdims: 0 }), g.float(offset)]);
  // Of a row so far from all components that its densities are 0.
  const least = g.float(-MAX_FLOAT32);
  const own = g.op('Max', [g.op('Where', [g.op('IsNaN', [sum]), least, sum]), least]);
  const even = g.float(logDensity);
  const share = g.op('Sigmoid', [g.op('Sub', [even, own])]);
  const further = g.op('Exp', [g.op('Neg', [g.op('Abs', [g.op('Sub', [own, even])])])]);
  return {
    share,
    rest: g.op('Unsqueeze', [g.op('Sub', [g.float(1), share]), g.integers([1])]),
    density: g.op('Add', [g.op('Max', [own, even]), g.op('Log', [g.op('Add', [further, g.float(1)])])]),
  };
}

/** The share of a cluster's rows that are nearer to its centre: `outlierScore`. */
function outlierScores(g: OnnxGraph, distance: Value, label: Value, quantiles: Float32Array): Value {
  const steps = QUANTILE_STEPS + 1;
  const own = g.op('Gather', [g.floats(quantiles, [quantiles.length / steps, steps]), label]);
  const column = g.op('Unsqueeze', [distance, g.integers([1])]);
  const nearer = g.cast(g.op('Less', [own, column]), 'float32');
  // The least quantile that is not nearer, and the one before it.
  const count = g.op('ReduceSum', [nearer, g.integers([1])], { keepdims: 1 });
  const above = g.op('Min', [g.op('Max', [count, g.float(1)]), g.float(QUANTILE_STEPS)]);
  const below = g.op('Sub', [above, g.float(1)]);
  const at = (place: Value) => g.op('GatherElements', [own, g.cast(place, 'int64')], { axis: 1 });
  const [low, high] = [at(below), at(above)];
  const part = g.op('Div', [g.op('Sub', [column, low]), g.op('Sub', [high, low])]);
  const between = g.op('Div', [g.op('Add', [below, part]), g.float(QUANTILE_STEPS)]);
  const isFirst = g.op('Less', [count, g.float(0.5)]);
  const isBeyond = g.op('Greater', [count, g.float(QUANTILE_STEPS + 0.5)]);
  const score = g.op('Where', [isFirst, g.float(0), g.op('Where', [isBeyond, g.float(1), between])]);
  return g.op('Squeeze', [score, g.integers([1])]);
}
