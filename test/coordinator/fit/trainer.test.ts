import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { startThread, trainerIn } from '../../../coordinator/fit/start-trainer.ts';
import { createTrainer, type TrainerHost } from '../../../coordinator/fit/trainer.ts';
import { layoutOf } from '../../../model/layout.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { initialAutoencoder } from '../../../model/nets/autoencoder.ts';
import type { RunConfig } from '../../../run/config.ts';
import { randomNumbers } from './support.ts';

const mixtureOf = (k: number, d: number): Mixture => ({
  ...{ k, d, covariance: 'full', weights: new Float64Array(k).fill(1 / k) },
  means: Array.from({ length: k }, (_, c) => new Float64Array(d).fill(c)),
  covariances: Array.from({ length: k }, (_, c) =>
    Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0.1 * c : 1 + c)),
  ),
});
const request = {
  config: { data: 'rows.npy', covariance: 'full', transform: 'center' } as RunConfig,
  layout: layoutOf(4, 2, 1, 1n),
};

/** A host without workers, whose rounds reject with this error. */
function hostWith(error: Error) {
  const published: string[] = [];
  const host: TrainerHost = {
    publish: (name) => void published.push(name),
    round: () => Promise.reject(error),
    emit: () => {},
    warn: () => {},
  };
  return { host, published };
}

describe('a trainer in a thread', () => {
  const thread = startThread();
  after(() => thread.terminate());
  const ofWorker = Object.assign(new UserError('rows.npy: gone', { exitCode: 75 }), { seen: true });
  const { host, published } = hostWith(ofWorker);
  const [there, here] = [trainerIn(thread, host), createTrainer(host)];

  test('computes the bits that it computes here, and leaves what it is given as it is', async () => {
    const { normal } = randomNumbers(1);
    const all = Float32Array.from({ length: 30_000 }, normal);
    // A view of a larger array, of which it gets this part only.
    const rows = all.subarray(3000, 9000);
    const labels = Array.from({ length: 1000 }, (_, i) => i % 3);
    for (const mixture of [mixtureOf(3, 4), mixtureOf(2, 80)])
      assert.deepEqual(await there.centresOf(mixture), await here.centresOf(mixture));
    assert.equal(await there.silhouette(rows, 6, labels), await here.silhouette(rows, 6, labels));
    assert.equal(all.length, 30_000);
  });

  test('gives back the very error of a round; its own keep class, message and exit code', async () => {
    const encoder = initialAutoencoder(1n, [2, 1, 2]);
    const [first, second] = [0, 0].map(() => new Float32Array(encoder.params.length));
    const encoding = {
      ...{ hashes: new Uint8Array(), input: { factor: first, shift: first }, variance: 1, alternation: 0 },
      state: { ...encoder, first, second, steps: 0, epoch: 0, loss: null },
      ...{ codes: null, clusters: null, brought: [] },
    };
    const config = { ...request.config, encoderBatch: 1, encoderSteps: 1, encoderEpochs: 1, encoderLr: 1 };
    await assert.rejects(there.encoderEpoch(config, request.layout, encoding), (error) => error === ofWorker);
    assert.deepEqual(published, ['encoder', 'encoder-moments']);
    const one = Float64Array.of(1, 1);
    const moments = { rows: 0, mean: one, covariance: one, min: one, max: one };
    const data = { moments, sampleRows: [0], hashes: new Uint8Array(16), fences: null };
    const input = { config: { ...request.config, sample: 7 }, layout: request.layout, names: null };
    await assert.rejects(there.prepare(input, data, null), {
      constructor: UserError,
      exitCode: 2,
      message: /^rows.npy: all 0 rows are equal/,
    });
  });

  test('does not hold up the event loop, however long it computes', async () => {
    const rows = new Float32Array(3000 * 200).fill(1);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const start = performance.now();
    await there.silhouette(
      rows,
      200,
      Array.from({ length: 3000 }, (_, i) => i % 2),
    );
    const total = performance.now() - start;
    delay.disable();
    const longest = delay.max / 1e6;
    assert.ok(longest < total / 2, `timers waited up to ${longest} ms of ${total}`);
  });
});

test('when its thread ends, what was asked of a trainer rejects at once, and what is asked later', async () => {
  const thread = startThread();
  const trainer = trainerIn(thread, hostWith(new Error()).host);
  await trainer.centresOf(mixtureOf(1, 2));
  const endless = trainer.centresOf(mixtureOf(100, 500));
  const rejected = assert.rejects(endless, /the thread of the training ended/);
  const start = performance.now();
  await thread.terminate();
  await rejected;
  assert.ok(performance.now() - start < 5000);
  await assert.rejects(trainer.centresOf(mixtureOf(1, 2)), /closed/);
});
