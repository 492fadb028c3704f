import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { initialAutoencoder } from '../../../model/nets/autoencoder.ts';
import { clusteringNet, netShapes, subNets } from '../../../model/nets/net.ts';
import { generator } from '../../../model/random.ts';
import { netStates } from '../../../proto/model-tensors.ts';
import { take } from '../../../proto/tensors.ts';
import { createStates } from '../../../tasks/compute/context.ts';
import { localSteps } from '../../../tasks/steps/compute.ts';
import type { Backend, FlatNet } from '../../../worker/compute/backends/backend.ts';
import { cpuBackend } from '../../../worker/compute/backends/host.ts';
import { wasmBackend } from '../../../worker/compute/backends/wasm.ts';
import { trainNet } from '../../../worker/compute/mlp.ts';
import { close } from '../../model/support.ts';

const STEPS = 10;
const wasm = await wasmBackend();

interface Case {
  name: string;
  d: number;
  hidden: number[];
  k: number;
  /** Stacked sub-nets; 0: one clustering net. */
  nets: number;
  rows: number;
  loss: 'kl' | 'cost';
}

const CASES: Case[] = [
  { name: 'the default net', d: 10, hidden: [50], k: 10, nets: 0, rows: 128, loss: 'kl' },
  { name: 'two hidden layers, odd widths', d: 7, hidden: [13, 9], k: 5, nets: 0, rows: 33, loss: 'kl' },
  { name: 'a cost', d: 7, hidden: [13], k: 5, nets: 0, rows: 30, loss: 'cost' },
  { name: 'no hidden layer', d: 3, hidden: [], k: 4, nets: 0, rows: 5, loss: 'kl' },
  { name: 'one row, one column', d: 1, hidden: [2], k: 2, nets: 0, rows: 1, loss: 'kl' },
  { name: 'ten sub-nets', d: 10, hidden: [50], k: 2, nets: 10, rows: 16, loss: 'cost' },
  { name: 'three sub-nets', d: 3, hidden: [50], k: 2, nets: 3, rows: 17, loss: 'kl' },
];

/** Local steps on batches drawn with the case's name as seed; `scale` multiplies the rows. */
function steps(backend: Backend, { name, d, hidden, k, nets, rows, loss }: Case, scale = 1, done = 0) {
  const net = nets ? subNets(3n, d, nets) : clusteringNet(3n, d, hidden, k);
  const rng = generator(5n, name);
  const states = createStates(backend);
  const { weights, moments } = netStates(net);
  const which = nets ? 'subs' : 'net';
  states.put(which, 1, weights);
  states.put(`${which}-moments`, 1, moments);
  const shape = nets ? [nets, rows] : [rows];
  const batchOf = () => {
    const n = Math.max(1, nets) * rows;
    const x = Float32Array.from({ length: n * d }, () => scale * rng.normal());
    const target = Float32Array.from({ length: n * k }, () => rng.uniform() ** 4 + 1e-6);
    for (let i = 0; loss === 'kl' && i < n; i++) {
      const row = target.subarray(i * k, (i + 1) * k);
      const sum = row.reduce((a, b) => a + b, 0);
      row.forEach((value, j) => {
        row[j] = value / sum;
      });
    }
    const batch = { x: backend.upload(x, [...shape, d]), target: backend.upload(target, [...shape, k]) };
    return { ...batch, free: () => backend.free(batch.x, batch.target) };
  };
  const task = { steps: STEPS, rate: 0.01, done, average: 'weights' as const, loss };
  return localSteps(backend, states, which, task, new Float64Array(Math.max(1, nets)).fill(1), batchOf);
}

describe('the kernel for entire steps', () => {
  assert.ok(wasm.training);
  for (const about of CASES) {
    test(`agrees with steps by single operations in float64: ${about.name}`, async () => {
      const [ours, plain] = [await steps(wasm, about), await steps(cpuBackend(), about)];
      const start = about.nets
        ? subNets(3n, about.d, about.nets)
        : clusteringNet(3n, about.d, about.hidden, about.k);
      const moved = Math.max(
        ...start.params
          .flatMap((values) => [...values])
          .map((value, i) => Math.abs(value - take(plain, 'params', 'float64')[i])),
      );
      assert.ok(moved > 0.02, 'the steps move the net, or this test would see nothing');
      for (const [name, tolerance] of [
        ['params', 2e-5],
        ['first', 1e-6],
        ['second', 1e-7],
        ['loss', 1e-6],
      ] as const) {
        close(take(ours, name, 'float64'), take(plain, name, 'float64'), tolerance);
      }
      assert.equal(wasm.live(), 0);
    });
  }

  test('the same steps give the same bits, whatever was computed before', async () => {
    const first = await steps(wasm, CASES[0]);
    for (const other of CASES.slice(1)) await steps(wasm, other);
    const again = await steps(wasm, CASES[0]);
    for (const name of ['params', 'first', 'second', 'loss'])
      assert.deepEqual(take(again, name, 'float64'), take(first, name, 'float64'));
  });

  test('earlier steps count in Adam’s bias corrections', async () => {
    const [ours, plain] = [await steps(wasm, CASES[2], 1, 40), await steps(cpuBackend(), CASES[2], 1, 40)];
    close(take(ours, 'params', 'float64'), take(plain, 'params', 'float64'), 2e-5);
  });

  test('logits so far apart that softmax is 0 or 1 stay finite', async () => {
    const result = await steps(wasm, CASES[0], 1e4);
    for (const name of ['params', 'first', 'second', 'loss'])
      assert.ok(take(result, name, 'float64').every(Number.isFinite), name);
  });

  const ENCODER = [19, 24, 10, 3, 10, 24, 19];
  for (const [what, widths, linear] of [
    ['an auto-encoder', ENCODER, 2],
    ['one with ReLU everywhere', ENCODER, -1],
    ['a wide one', [130, 70, 2, 70, 130], 1],
  ] as const)
    test(`squared errors agree with single operations in float64: ${what}`, async () => {
      const [ours, plain] = [
        await regression(wasm, widths, linear),
        await regression(cpuBackend(), widths, linear),
      ];
      close(ours.params, plain.params, 5e-5);
      close(ours.first, plain.first, 1e-5);
      close(ours.second, plain.second, 1e-5);
      close([ours.loss], [plain.loss], 1e-4);
      assert.equal(wasm.live(), 0);
    });

  test('codes are drawn to their targets as by single operations, which lowers their distance', async () => {
    const codes = { weight: 0.7, shift: 0.5 };
    const [ours, plain, without] = [
      await regression(wasm, ENCODER, 2, codes),
      await regression(cpuBackend(), ENCODER, 2, codes),
      await regression(wasm, ENCODER, 2),
    ];
    close(ours.params, plain.params, 5e-5);
    close(ours.second, plain.second, 1e-5);
    close([ours.loss], [plain.loss], 1e-4);
    // The bias of the codes, which should be .5, follows the layer 10 → 3.
    const at = 19 * 24 + 24 + 24 * 10 + 10 + 10 * 3;
    for (const j of [0, 1, 2]) assert.ok(ours.params[at + j] > without.params[at + j] + 0.01);
    assert.equal(wasm.live(), 0);
  });

  test('a training ends when another begins', () => {
    const net = netOf([3, 2, 3]);
    const first = wasm.training!(net, 'squares')!;
    wasm.training!(net, 'squares');
    const x = wasm.upload(new Float32Array(3), [1, 3]);
    assert.throws(() => first.step({ x, target: x }, 0.1, 1), /another training/);
    wasm.free(x);
  });
});

function netOf(widths: readonly number[]): FlatNet {
  const { params } = initialAutoencoder(1n, widths);
  const zeros = () => new Float32Array(params.length);
  return { shapes: netShapes([...widths], 0), params: params.slice(), first: zeros(), second: zeros() };
}

/** Some steps towards targets that are not the inputs; `codes`: all of their numbers should be `shift`. */
async function regression(
  backend: Backend,
  widths: readonly number[],
  linear: number,
  codes?: { weight: number; shift: number },
) {
  const rng = generator(7n, 'regression');
  const training = trainNet(backend, netOf(widths), 'squares', 3, linear);
  for (let i = 0; i < STEPS; i++) {
    const draw = () =>
      backend.upload(Float32Array.from({ length: 21 * widths[0] }, rng.normal), [21, widths[0]]);
    const batch = { x: draw(), target: draw() };
    const shape = [21, widths[linear + 1]];
    const wanted = codes && backend.upload(new Float32Array(shape[0] * shape[1]).fill(codes.shift), shape);
    const own = wanted && { target: wanted, weight: codes.weight };
    training.step({ ...batch, codes: own }, 0.01 / (i + 1));
    backend.free(batch.x, batch.target, ...(wanted ? [wanted] : []));
  }
  const trained = await training.end();
  training.free();
  return trained;
}
