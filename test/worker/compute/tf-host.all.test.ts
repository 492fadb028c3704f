import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { concat } from '../../../model/arrays.ts';
import { clusteringNet } from '../../../model/nets/net.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { Backend, Tensor } from '../../../worker/compute/backends/backend.ts';
import { tfHost } from '../../../worker/compute/backends/tf-host.ts';
import { wasmBackend, wasmKernels } from '../../../worker/compute/backends/wasm.ts';
import { flat, randomMatrix } from '../support.ts';

describe('TensorFlow on the CPU is loaded when a product is large', async () => {
  const kernels = await wasmKernels();
  const wasm = await wasmBackend();
  const unloaded = tfHost(
    () => {
      throw new UserError('it is loaded now');
    },
    'tensorflow/none',
    kernels,
  );
  const tensor = (backend: Backend, seed: number, rows: number, cols: number) =>
    backend.upload(flat(randomMatrix(seed, rows, cols)), [rows, cols]);

  test('a shard of 2,500 rows of ten numbers gets WASM’s bits, without TensorFlow', async () => {
    const [rows, dim, k] = [2500, 10, 20];
    const p = statisticsLength(dim, 'full');
    const results = async (backend: Backend) => {
      const x = tensor(backend, 1, rows, dim);
      const [w, theta, r] = [
        tensor(backend, 2, dim, 50),
        tensor(backend, 3, p, k),
        tensor(backend, 4, rows, k),
      ];
      const bias = backend.upload(new Float32Array(50).fill(0.5), [50]);
      const h = backend.affine(x, w, bias, true);
      const features = backend.quadraticFeatures(x, false);
      const results: Tensor[] = [
        h,
        backend.quadraticForm(x, theta, false),
        backend.quadraticMoments(r, features),
        backend.gram(x, h),
        backend.reluGrad(h, w, x),
      ];
      const values = await Promise.all(results.map((each) => backend.read(each)));
      backend.free(x, w, theta, r, bias, features, ...results);
      return values;
    };
    assert.deepEqual(await results(unloaded), await results(wasm));
  });

  test('the kernel takes entire steps of a net of this width, but not of a wide one', () => {
    const training = (inputs: number, width: number) => {
      const { shapes, params, first, second } = clusteringNet(1n, inputs, [width], 4);
      const net = {
        shapes,
        params: concat(params, Float32Array),
        first: concat(first, Float32Array),
        second: concat(second, Float32Array),
      };
      return unloaded.training!(net, 'cost');
    };
    assert.ok(training(10, 50));
    assert.equal(training(784, 512), null);
  });

  test('a large product, or rows too wide for φ, load it', () => {
    const [a, b] = [tensor(unloaded, 7, 200, 200), tensor(unloaded, 8, 200, 200)];
    const bias = unloaded.upload(new Float32Array(200), [200]);
    const wide = tensor(unloaded, 9, 4, 33);
    for (const verb of [
      () => unloaded.affine(a, b, bias, false),
      () => unloaded.gram(a, b),
      () => unloaded.quadraticFeatures(wide, false),
    ])
      assert.throws(verb, (error: Error) => error instanceof UserError && /loaded now/.test(error.message));
    unloaded.free(unloaded.quadraticFeatures(wide, true));
  });
});
