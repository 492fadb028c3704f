// npm run bench:kernels: speed of the matrix products and training steps on each backend, and compute time by task.
import { join } from 'node:path';
import {
  autoencoderWidths,
  codeLayer,
  initialAutoencoder,
  operationsPerRow,
} from '../model/nets/autoencoder.ts';
import { clusteringNet, type Net, netShapes, subNets } from '../model/nets/net.ts';
import { generator } from '../model/random.ts';
import type { Backend, Tensor } from '../worker/compute/backends/backend.ts';
import { cpuBackend } from '../worker/compute/backends/cpu.ts';
import { loadBackend } from '../worker/compute/backends/load.ts';
import { wasmBackend } from '../worker/compute/backends/wasm.ts';
import { findTensorflow } from '../worker/compute/installed.ts';
import { type TrainableNet, trainStep } from '../worker/compute/mlp.ts';
import { trainNet } from '../worker/compute/training.ts';
import { train } from './dpmesh.ts';
import { ROOT } from './processes.ts';
import { eventsOf } from './run-files.ts';
import { type Measurement, millisecondsOf, normalTensors, wideProducts } from './timing.ts';

const SIZES = [
  { d: 10, k: 10 },
  { d: 32, k: 50 },
];
const HIDDEN = 50;
/** Rows per clustering step, in the sample of a shard, and per cluster in a sub-net step. */
const [BATCH, SAMPLE, SUB_BATCH] = [128, 2560, 16];
/** Local steps of a net before its weights are averaged. */
const STEPS = 10;
/** The default auto-encoder of images of 28 × 28 pixels, and rows in one of its steps. */
const [ENCODER, ENCODER_BATCH] = [autoencoderWidths(784, [500, 500, 2000], 10), 64];

/** GFLOP/s of each backend operation that is a matrix product. Computing features counts as time but not as work. */
function products(backend: Backend, d: number, k: number): Measurement[] {
  const make = normalTensors(backend, generator(1n, 'bench', d, k));
  const p = 1 + d + (d * (d + 1)) / 2;
  const [x, w, b] = [make(BATCH, d), make(d, HIDDEN), make(HIDDEN)];
  const h = backend.affine(x, w, b, true);
  const [g, w2, rows] = [make(BATCH, k), make(HIDDEN, k), make(SAMPLE, d)];
  const [theta, r] = [make(p, k), make(SAMPLE, k)];
  const features = backend.quadraticFeatures(rows, false);
  const operations: [string, number, () => Tensor][] = [
    [`affine ${BATCH}×${d}·${d}×${HIDDEN}`, BATCH * d * HIDDEN, () => backend.affine(x, w, b, true)],
    [`gram ${HIDDEN}×${BATCH}·${BATCH}×${k}`, BATCH * HIDDEN * k, () => backend.gram(h, g)],
    [`reluGrad ${BATCH}×${k}·${k}×${HIDDEN}`, BATCH * k * HIDDEN, () => backend.reluGrad(g, w2, h)],
    [
      `quadraticForm ${SAMPLE}×${p}·${p}×${k}`,
      SAMPLE * p * k,
      () => backend.quadraticForm(rows, theta, false),
    ],
    [
      `quadraticMoments ${p}×${SAMPLE}·${SAMPLE}×${k}`,
      SAMPLE * p * k,
      () => backend.quadraticMoments(r, features),
    ],
  ];
  const measurements = operations.map(([name, multiplications, run]) => ({
    name,
    value: (2 * multiplications) / millisecondsOf(() => backend.free(run())) / 1e6,
  }));
  backend.free(x, w, b, h, g, w2, rows, theta, r, features);
  return measurements;
}

/** Milliseconds per training step, as on a worker: ten steps from uploaded weights, each on its own batch. */
function trainingSteps(backend: Backend, d: number, k: number): Measurement[] {
  const make = normalTensors(backend, generator(2n, 'bench', d, k));
  const rows = make(STEPS * BATCH, d);
  const logits = make(STEPS * BATCH, k);
  const targets = backend.softmaxRows(logits, 1e-5);
  const [centres, metric] = [make(k, 2, d), make(d)];
  const index = Int32Array.from({ length: k * SUB_BATCH }, (_, i) => (i * 7) % (STEPS * BATCH));

  const cluster = trainer(backend, clusteringNet(0n, d, [HIDDEN], k), (i) => {
    const x = backend.slice(rows, i * BATCH, BATCH);
    const target = backend.slice(targets, i * BATCH, BATCH);
    return { x, target, lossOf: (z) => backend.klGradient(z, target) };
  });
  const sub = trainer(backend, subNets(0n, d, k), () => {
    const x = backend.gather(rows, index, [k, SUB_BATCH, d]);
    const target = backend.squaredDistances(x, centres, metric);
    return { x, target, lossOf: (z) => backend.costGradient(z, target) };
  });
  const measurements = [
    { name: `clustering step ${BATCH} rows, ${d}→${HIDDEN}→${k}`, value: millisecondsOf(cluster) / STEPS },
    { name: `sub-net step ${k} × ${SUB_BATCH} rows, ${d}→${HIDDEN}→2`, value: millisecondsOf(sub) / STEPS },
  ];
  backend.free(rows, logits, targets, centres, metric);
  return measurements;
}

interface TrainingBatch {
  x: Tensor;
  target: Tensor;
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor };
}

/** A function that trains the net for STEPS steps. */
function trainer(backend: Backend, net: Net, batchOf: (i: number) => TrainingBatch): () => void {
  const upload = (arrays: Float32Array[]) => arrays.map((values, i) => backend.upload(values, net.shapes[i]));
  return () => {
    const { params, first, second } = net;
    const trained: TrainableNet = { params: upload(params), first: upload(first), second: upload(second) };
    for (let i = 0; i < STEPS; i++) {
      const { x, target, lossOf } = batchOf(i);
      backend.free(trainStep(backend, trained, { x }, lossOf, 1e-2, i + 1), x, target);
    }
    backend.free(...trained.params, ...trained.first, ...trained.second);
  };
}

/** Milliseconds of a step of the auto-encoder, as on a worker: on the backend that it takes for such a net. */
function encoderStep(backend: Backend): number {
  const { params } = initialAutoencoder(0n, ENCODER);
  const shapes = netShapes(ENCODER, 0);
  const zeros = () => new Float32Array(params.length);
  const own = backend.forNet?.(shapes) ?? backend;
  const net = { shapes, params, first: zeros(), second: zeros() };
  const training = trainNet(own, net, 'squares', 0, codeLayer(ENCODER));
  const rng = generator(4n, 'bench');
  const rows = Float32Array.from({ length: ENCODER_BATCH * ENCODER[0] }, () => rng.normal());
  const milliseconds = millisecondsOf(() => {
    const x = own.upload(rows, [ENCODER_BATCH, ENCODER[0]]);
    training.step({ x, target: x }, 1e-4);
    own.free(x);
  });
  training.free();
  return milliseconds;
}

function printEncoderSteps(): void {
  console.log(`\nencoder step, ${ENCODER_BATCH} rows, ${ENCODER.join('–')}`);
  for (const backend of backends) {
    const ms = encoderStep(backend);
    const gflops = (ENCODER_BATCH * operationsPerRow(ENCODER)) / ms / 1e6;
    console.log(
      `  ${backend.identity.padEnd(52)}${`${ms.toFixed(1)} ms`.padStart(10)}${`${gflops.toFixed(1)} GFLOP/s`.padStart(16)}`,
    );
  }
}

/** Prints the same measurements for each backend, side by side. */
function compare(
  title: string,
  digits: number,
  measure: (backend: Backend, d: number, k: number) => Measurement[],
): void {
  const columns = backends.map((backend) => SIZES.flatMap(({ d, k }) => measure(backend, d, k)));
  console.log(
    `\n${title.padEnd(42)}${backends.map(({ identity }) => identity.slice(0, 11).padStart(13)).join('')}`,
  );
  columns[0].forEach(({ name }, i) => {
    const values = columns.map((column) => column[i].value.toFixed(digits).padStart(13));
    console.log(`  ${name.padEnd(40)}${values.join('')}`);
  });
}

/** Trains on MNIST and prints the workers' compute time by task. */
async function printTimeByTask(): Promise<void> {
  const mnist = join(ROOT, 'examples/mnist');
  const data = { data: join(mnist, 'mnist_umap10.npy'), labels: join(mnist, 'mnist_labels.npy') };
  const { out, seconds, workers } = await train(data);
  const spent: Record<string, number> = {};
  for (const event of eventsOf(out)) {
    if (!('seconds' in event) || typeof event.seconds !== 'object') continue;
    for (const [task, value] of Object.entries(event.seconds)) spent[task] = (spent[task] ?? 0) + value;
  }
  const total = Object.values(spent).reduce((a, b) => a + b, 0);
  console.log(
    `\nexamples/mnist, ${workers} workers: ${seconds.toFixed(1)} s; ${total.toFixed(1)} s of compute`,
  );
  for (const [task, value] of Object.entries(spent).sort((a, b) => b[1] - a[1]))
    console.log(
      `  ${task.padEnd(40)}${`${((100 * value) / total).toFixed(1)} %`.padStart(13)}${`${value.toFixed(2)} s`.padStart(13)}`,
    );
  if (!('full-pass' in spent)) console.log('  (without the full pass, which its events do not include)');
}

// Not WebGPU: it computes asynchronously until results are read, so these times would be meaningless.
const tensorflow = findTensorflow();
const backends = [
  await wasmBackend(),
  cpuBackend(),
  ...(tensorflow && !('problem' in tensorflow) ? [await loadBackend('tensorflow')] : []),
];
for (const backend of backends) {
  if (backend.identity.startsWith('cpu/')) continue;
  console.log(`GFLOP/s at D = 128, K = 50 on ${backend.identity}`);
  for (const { name, value } of wideProducts(backend))
    console.log(`  ${name.padEnd(40)}${value.toFixed(1).padStart(13)}`);
}
compare('GFLOP/s of products', 2, products);
compare('ms per step', 3, trainingSteps);
printEncoderSteps();
await printTimeByTask();
