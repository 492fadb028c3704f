import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { eStepOf } from '../../../model/estep.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { Backend, Tensor } from '../../../worker/compute/backends/backend.ts';
import { lossAndGradients, trainStep } from '../../../worker/compute/mlp.ts';
import { close, logDensities } from '../../model/support.ts';
import { backends, toleranceOf } from '../present.ts';
import { agrees, flat, type Matrix, randomMatrix, range, softmax } from '../support.ts';

const LOSS = 1e-5;
const EPSILON = 1e-5;
const D = 3;
const ROWS = 21;

// The package leaves them out of its Node build, and its ES modules load only through `require`.
createRequire(import.meta.url)('@tensorflow/tfjs-core/dist/register_all_gradients.js');
// Autodiff runs on the plain backend of TensorFlow.js, which shares no kernel with ours.
await tf.setBackend('cpu');

const scale = Float64Array.of(0.5, 2, 1.5);
const toModel = (y: Matrix) => y.map((row) => row.map((v, d) => v * scale[d]));

function mixtureOf(k: number, covariance: 'full' | 'diag', seed = 1): Mixture {
  return {
    k,
    d: D,
    covariance,
    weights: Float64Array.from({ length: k }, (_, i) => (2 * (i + 1)) / (k * (k + 1))),
    means: randomMatrix(seed, k, D).map((row) => Float64Array.from(row, (v, d) => v * scale[d])),
    covariances: range(k).map((c) =>
      Float64Array.from(
        covariance === 'diag' ? [0.4 + c, 3, 2] : [0.4 + c, 0.2, -0.1, 0.2, 3, 0.5, -0.1, 0.5, 2],
      ),
    ),
  };
}

/** Smoothed responsibilities, directly from the densities in float64. */
function responsibilities(mixture: Mixture, y: Matrix): Matrix {
  const { k } = mixture;
  const logs = logDensities(mixture, Float64Array.from(toModel(y).flat()));
  return y.map((_, i) =>
    softmax([...logs.subarray(i * k, (i + 1) * k)]).map((r) => (r + EPSILON) / (1 + k * EPSILON)),
  );
}

/** A loss: as a task computes its gradient, and by its definition, for automatic differentiation. */
interface Loss {
  /** Its input besides the logits, on the device. */
  target(backend: Backend, x: Tensor): Tensor;
  kind: 'kl' | 'cost';
  /** The loss of one net with logits [B,K] on rows y. */
  stated(logits: tf.Tensor2D, y: Matrix, net: number): tf.Scalar;
}

/** Σ a·b, divided by the number of rows. */
const meanProduct = (a: tf.Tensor, b: tf.Tensor, rows: number) =>
  tf.div(tf.sum(tf.mul(a, b)), rows) as tf.Scalar;

const klStated = (logits: tf.Tensor2D, target: Matrix) => {
  const t = tf.tensor2d(target);
  return meanProduct(t, tf.sub(tf.log(t), tf.logSoftmax(logits)), target.length);
};
const costStated = (logits: tf.Tensor2D, cost: Matrix) =>
  meanProduct(tf.softmax(logits), tf.tensor2d(cost), cost.length);

function freeing(backend: Backend, made: Tensor[], out: Tensor): Tensor {
  backend.free(...made);
  return out;
}

function clusterLosses(k: number, covariance: 'full' | 'diag'): Record<string, Loss> {
  const mixture = mixtureOf(k, covariance);
  const diagonal = covariance === 'diag';
  const p = statisticsLength(D, covariance);
  const form = eStepOf(mixture, scale, 'cholesky');
  const byTheta = (backend: Backend, x: Tensor, values: Float32Array) => {
    const columns = backend.upload(values, [p, k]);
    return freeing(backend, [columns], backend.quadraticForm(x, columns, diagonal));
  };
  return {
    'KL, by the product form': {
      kind: 'kl',
      target(backend, x) {
        const density = byTheta(backend, x, eStepOf(mixture, scale, 'product').theta);
        return freeing(backend, [density], backend.softmaxRows(density, EPSILON));
      },
      stated: (logits, y) => klStated(logits, responsibilities(mixture, y)),
    },
    'KL, by the Cholesky form': {
      kind: 'kl',
      target(backend, x) {
        const [w, b] = [backend.upload(form.weights, [D, k * D]), backend.upload(form.bias, [k * D])];
        const c = backend.upload(form.constant, [k]);
        const u = backend.affine(x, w, b, false);
        const density = backend.whitenedDensity(u, c);
        return freeing(backend, [w, b, c, u, density], backend.softmaxRows(density, EPSILON));
      },
      stated: (logits, y) => klStated(logits, responsibilities(mixture, y)),
    },
  };
}

function subLosses(nets: number): Record<string, Loss> {
  const centres = range(nets).map((c) => randomMatrix(40 + c, 2, D));
  return {
    isotropic: {
      kind: 'cost',
      target(backend, x) {
        const parts = backend.upload(flat(centres), [nets, 2, D]);
        const metric = backend.upload(
          Float32Array.from(scale, (s) => s * s),
          [D],
        );
        return freeing(backend, [parts, metric], backend.squaredDistances(x, parts, metric));
      },
      stated: (logits, y, net) =>
        costStated(
          logits,
          toModel(y).map((row) =>
            toModel(centres[net]).map((c) => row.reduce((sum, v, d) => sum + (v - c[d]) ** 2, 0)),
          ),
        ),
    },
  };
}

interface Case {
  /** Rows of each net. */
  y: Matrix[];
  /** The matrices W₁, b₁ (a row), W₂, … of each net. */
  nets: Matrix[][];
  stacked: boolean;
  loss: Loss;
}

function caseOf(loss: Loss, hidden: number[], k: number, count?: number): Case {
  const widths = [D, ...hidden, k];
  return {
    loss,
    stacked: count !== undefined,
    y: range(count ?? 1).map((c) => randomMatrix(5 + c, ROWS, D)),
    nets: range(count ?? 1).map((c) =>
      widths
        .slice(1)
        .flatMap((width, l) => [
          randomMatrix(100 * c + l, widths[l], width, 0.7),
          randomMatrix(100 * c + 50 + l, 1, width, 0.3),
        ]),
    ),
  };
}

/** Arrays W₁, b₁, …, each of all nets one after the other. */
const stackedArrays = (nets: Matrix[][]) => nets[0].map((_, i) => flat(nets.map((net) => net[i])));

function upload(backend: Backend, { nets, stacked }: Case, arrays: Float32Array[]): Tensor[] {
  return arrays.map((values, i) => {
    const [rows, cols] = [nets[0][i].length, nets[0][i][0].length];
    const shape = i % 2 ? [cols] : [rows, cols];
    return backend.upload(values, stacked ? [nets.length, ...shape] : shape);
  });
}

function uploadRows(backend: Backend, { y, stacked }: Case): Tensor {
  return backend.upload(flat(y), stacked ? [y.length, ROWS, D] : [ROWS, D]);
}

/** The loss by its definition, summed over nets, as a function of TensorFlow.js variables. */
function autodiff({ y, nets, loss }: Case) {
  const variables = nets.map((net) =>
    net.map((m, i) => tf.variable(i % 2 ? tf.tensor1d(m[0]) : tf.tensor2d(m))),
  );
  after(() => tf.dispose(variables));
  const f = () => {
    const losses = variables.map((net, c) => {
      let at: tf.Tensor2D = tf.tensor2d(y[c]);
      for (let l = 0; l < net.length; l += 2) {
        at = tf.add(tf.matMul(at, net[l] as tf.Tensor2D), net[l + 1]);
        if (l + 2 < net.length) at = tf.relu(at);
      }
      return loss.stated(at, y[c], c);
    });
    return losses.reduce((a, b) => tf.add(a, b));
  };
  /** Values for each variable, those of all nets one after the other. */
  const collect = (of: (variable: tf.Variable) => tf.Tensor) =>
    nets[0].map((_, i) => Float32Array.from(variables.flatMap((net) => [...of(net[i]).dataSync()])));
  return { f, collect };
}

async function checkGradients(backend: Backend, of: Case): Promise<void> {
  const before = backend.live();
  const params = upload(backend, of, stackedArrays(of.nets));
  const x = uploadRows(backend, of);
  const target = of.loss.target(backend, x);
  const { loss, grads } = lossAndGradients(backend, params, { x, target }, of.loss.kind);
  const { f, collect } = autodiff(of);
  const { value, grads: byName } = tf.variableGrads(f);
  close((await backend.read(loss))[0], value.dataSync()[0] / of.nets.length, LOSS);
  const expected = collect((variable) => byName[variable.name]);
  for (const [i, grad] of grads.entries()) {
    assert.deepEqual(grad.shape, params[i].shape);
    agrees(await backend.read(grad), expected[i], toleranceOf(backend).gradient, `gradient ${i}`);
  }
  backend.free(...params, x, target, loss, ...grads);
  assert.equal(backend.live(), before, 'tensors not freed');
}

async function checkAdam(backend: Backend, of: Case): Promise<void> {
  const start = stackedArrays(of.nets);
  const zeros = start.map((values) => new Float32Array(values.length));
  const net = {
    params: upload(backend, of, start),
    first: upload(backend, of, zeros),
    second: upload(backend, of, zeros),
  };
  const x = uploadRows(backend, of);
  const target = of.loss.target(backend, x);
  const { f, collect } = autodiff(of);
  const optimizer = tf.train.adam(0.01, 0.9, 0.999, 1e-8);
  for (let count = 1; count <= 6; count++) {
    const loss = trainStep(backend, net, { x, target }, of.loss.kind, 0.01, count);
    backend.free(loss);
    optimizer.minimize(f);
    const expected = collect((variable) => variable);
    for (const [i, param] of net.params.entries()) close(await backend.read(param), expected[i], 1e-4);
  }
  assert.ok(Math.abs((await backend.read(net.params[0]))[0] - start[0][0]) > 0.005, 'nothing was learnt');
  backend.free(...net.params, ...net.first, ...net.second, x, target);
}

const HIDDEN = [[7], [8, 5]];

for (const backend of backends) {
  describe(`gradients on ${backend.identity} match automatic differentiation`, () => {
    for (const hidden of HIDDEN) {
      for (const covariance of ['full', 'diag'] as const)
        for (const [name, loss] of Object.entries(clusterLosses(4, covariance)))
          test(`clustering net, hidden ${hidden}, ${covariance}: ${name}`, () =>
            checkGradients(backend, caseOf(loss, hidden, 4)));
      for (const nets of [1, 3])
        for (const [name, loss] of Object.entries(subLosses(nets)))
          test(`${nets} sub-clustering nets, hidden ${hidden}: ${name}`, () =>
            checkGradients(backend, caseOf(loss, hidden, 2, nets)));
    }
  });

  describe(`Adam on ${backend.identity} matches tf.train.adam`, () => {
    const [first, second] = Object.values(clusterLosses(4, 'full'));
    test('clustering net, KL', () => checkAdam(backend, caseOf(first, [7], 4)));
    test('clustering net, two hidden layers, KL by the Cholesky form', () =>
      checkAdam(backend, caseOf(second, [8, 5], 4)));
    for (const [name, loss] of Object.entries(subLosses(3)))
      test(`three sub-clustering nets, ${name}`, () => checkAdam(backend, caseOf(loss, [6], 2, 3)));
  });
}
