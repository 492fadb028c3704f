import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, describe, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import type { Backend, Tensor } from '../../../worker/compute/backends/backend.ts';
import { lossAndGradients, trainStep } from '../../../worker/compute/mlp.ts';
import { close } from '../../model/support.ts';
import { backends, toleranceOf } from '../present.ts';
import { agrees, flat, type Matrix, randomMatrix, range, softmax } from '../support.ts';

const LOSS = 1e-5;
const D = 3;
const ROWS = 21;

// The package leaves them out of its Node build, and its ES modules load only through `require`.
createRequire(import.meta.url)('@tensorflow/tfjs-core/dist/register_all_gradients.js');
// Autodiff runs on the plain backend of TensorFlow.js, which shares no kernel with ours.
await tf.setBackend('cpu');

interface Case {
  kind: 'kl' | 'cost';
  /** Rows of each net, and their targets. */
  y: Matrix[];
  targets: Matrix[];
  /** The matrices W₁, b₁ (a row), W₂, … of each net. */
  nets: Matrix[][];
  stacked: boolean;
}

function caseOf(kind: Case['kind'], hidden: number[], k: number, count?: number): Case {
  const widths = [D, ...hidden, k];
  const each = range(count ?? 1);
  const positive = (row: number[]) => row.map((v) => v * v);
  return {
    kind,
    stacked: count !== undefined,
    y: each.map((c) => randomMatrix(5 + c, ROWS, D)),
    targets: each.map((c) => randomMatrix(40 + c, ROWS, k, 2).map(kind === 'kl' ? softmax : positive)),
    nets: each.map((c) =>
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

/** Rows and targets on the device. */
function batchOf(backend: Backend, { y, targets, stacked }: Case) {
  const [x, target] = [y, targets].map((of) =>
    backend.upload(flat(of), [...(stacked ? [of.length] : []), ROWS, of[0][0].length]),
  );
  return { x, target };
}

/** The loss by its definition, summed over nets, as a function of TensorFlow.js variables. */
function autodiff({ kind, y, targets, nets }: Case) {
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
      const t = tf.tensor2d(targets[c]);
      const each =
        kind === 'kl' ? tf.mul(t, tf.sub(tf.log(t), tf.logSoftmax(at))) : tf.mul(t, tf.softmax(at));
      return tf.div(tf.sum(each), ROWS) as tf.Scalar;
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
  const batch = batchOf(backend, of);
  const { loss, grads } = lossAndGradients(backend, params, batch, of.kind);
  const { f, collect } = autodiff(of);
  const { value, grads: byName } = tf.variableGrads(f);
  close((await backend.read(loss))[0], value.dataSync()[0] / of.nets.length, LOSS);
  const expected = collect((variable) => byName[variable.name]);
  for (const [i, grad] of grads.entries()) {
    assert.deepEqual(grad.shape, params[i].shape);
    agrees(await backend.read(grad), expected[i], toleranceOf(backend).gradient, `gradient ${i}`);
  }
  backend.free(...params, batch.x, batch.target, loss, ...grads);
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
  const batch = batchOf(backend, of);
  const { f, collect } = autodiff(of);
  const optimizer = tf.train.adam(0.01, 0.9, 0.999, 1e-8);
  for (let count = 1; count <= 6; count++) {
    backend.free(trainStep(backend, net, batch, of.kind, 0.01, count));
    optimizer.minimize(f);
    const expected = collect((variable) => variable);
    for (const [i, param] of net.params.entries()) close(await backend.read(param), expected[i], 1e-4);
  }
  assert.ok(Math.abs((await backend.read(net.params[0]))[0] - start[0][0]) > 0.005, 'nothing was learnt');
  backend.free(...net.params, ...net.first, ...net.second, batch.x, batch.target);
}

for (const backend of backends)
  describe(`on ${backend.identity}`, () => {
    for (const kind of ['kl', 'cost'] as const)
      for (const hidden of [[7], [8, 5]])
        for (const nets of [undefined, 1, 3]) {
          const of = caseOf(kind, hidden, kind === 'kl' ? 4 : 2, nets);
          const name = `${kind}, hidden ${hidden}${nets ? `, ${nets} nets at once` : ''}`;
          test(`gradients match automatic differentiation: ${name}`, () => checkGradients(backend, of));
          if (nets !== 1) test(`Adam matches tf.train.adam: ${name}`, () => checkAdam(backend, of));
        }
  });
