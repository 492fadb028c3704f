import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backend, Tensor } from '../../../worker/compute/backends/backend.ts';
import { logDensity } from '../../../worker/compute/mlp.ts';
import { close } from '../../model/support.ts';
import { absent, backends, heapBytes as heap, toleranceOf } from '../present.ts';
import { argmax, flat, type Matrix, matrixOf, randomMatrix, range, softmax, sum } from '../support.ts';

const times = (a: Matrix, b: Matrix) =>
  a.map((row) => b[0].map((_, j) => sum(row.map((v, i) => v * b[i][j]))));
const transposed = (a: Matrix) => a[0].map((_, j) => a.map((row) => row[j]));

/** Rows, D, H; and the number of nets if they are stacked. */
const SHAPES: { rows: number; d: number; h: number; nets?: number }[] = [
  { rows: 1, d: 1, h: 1 },
  { rows: 1, d: 7, h: 5 },
  { rows: 17, d: 3, h: 1 },
  { rows: 33, d: 10, h: 50 },
  { rows: 129, d: 50, h: 11 },
  { rows: 6, d: 2, h: 9, nets: 1 },
  { rows: 1, d: 5, h: 2, nets: 3 },
  { rows: 16, d: 3, h: 50, nets: 4 },
  { rows: 13, d: 50, h: 2, nets: 5 },
];
const nameOf = ({ rows, d, h, nets }: (typeof SHAPES)[number]) =>
  `${nets ? `${nets} × ` : ''}[${rows},${d}] and ${h}`;

interface Bench {
  /** Uploads matrices: one as rank 2, a list of several as rank 3. */
  up(matrices: Matrix[], stacked: boolean): Tensor;
  vector(values: ArrayLike<number>): Tensor;
  /** Reads and frees at the end. */
  read(tensor: Tensor): Promise<Float32Array>;
}

/** Frees what `body` returns; no other tensors may be left. */
async function on(backend: Backend, body: (bench: Bench) => Promise<void>): Promise<void> {
  const before = backend.live();
  const made = new Set<Tensor>();
  const keep = (tensor: Tensor) => {
    made.add(tensor);
    return tensor;
  };
  await body({
    up: (matrices, stacked) => {
      const [rows, cols] = [matrices[0].length, matrices[0][0].length];
      return keep(backend.upload(flat(matrices), stacked ? [matrices.length, rows, cols] : [rows, cols]));
    },
    vector: (values) => keep(backend.upload(Float32Array.from(values), [values.length])),
    read: (tensor) => backend.read(keep(tensor)),
  });
  backend.free(...made);
  assert.equal(backend.live(), before, 'tensors not freed');
}

for (const [name, why] of Object.entries(absent)) test(`backend ${name}`, { skip: why }, () => {});

for (const backend of backends) {
  const { product: PRODUCT, sum: SUM, softmax: SOFTMAX, loss: LOSS } = toleranceOf(backend);
  describe(`backend ${backend.identity}`, () => {
    test('upload and read; both copy', () =>
      on(backend, async ({ read }) => {
        const values = Float32Array.of(1, -2, 3.5, 0, 1e30, -1e-30);
        const tensor = backend.upload(values, [2, 3]);
        values.fill(0);
        const expected = Float32Array.of(1, -2, 3.5, 0, 1e30, -1e-30);
        const first = await read(tensor);
        assert.deepEqual(first, expected);
        first.fill(9);
        assert.deepEqual(await read(tensor), expected);
        assert.deepEqual(tensor.shape, [2, 3]);
      }));

    test('gather and slice take rows', () =>
      on(backend, async ({ up, read }) => {
        const rows = randomMatrix(1, 9, 5);
        const x = up([rows], false);
        const index = Int32Array.of(8, 0, 3, 3, 7, 1);
        const picked = flat([Array.from(index, (i) => rows[i])]);
        const plain = backend.gather(x, index);
        const stacked = backend.gather(x, index, [2, 3, 5]);
        assert.deepEqual(
          [plain.shape, stacked.shape],
          [
            [6, 5],
            [2, 3, 5],
          ],
        );
        assert.deepEqual(await read(plain), picked);
        assert.deepEqual(await read(stacked), picked);
        for (const [start, count] of [
          [0, 9],
          [8, 1],
          [2, 4],
          [9, 0],
        ]) {
          const part = backend.slice(x, start, count);
          assert.deepEqual(part.shape, [count, 5]);
          assert.deepEqual(await read(part), flat([rows.slice(start, start + count)]));
        }
      }));

    for (const shape of SHAPES) {
      const { rows, d, h, nets } = shape;
      const stacked = nets !== undefined;
      const lead = stacked ? [nets] : [];
      const some = (seed: number, r: number, c: number) =>
        range(nets ?? 1).map((k) => randomMatrix(seed + 10 * k, r, c));

      test(`affine of ${nameOf(shape)}`, () =>
        on(backend, async ({ up, vector, read }) => {
          const [x, w, b] = [some(1, rows, d), some(2, d, h), some(3, 1, h)];
          const bias = stacked ? backend.upload(flat(b), [nets, h]) : vector(b[0][0]);
          if (stacked) await read(bias);
          const expected = x.map((own, k) =>
            times(own, w[k]).map((row) => row.map((v, j) => v + b[k][0][j])),
          );
          const [xs, ws] = [up(x, stacked), up(w, stacked)];
          const linear = backend.affine(xs, ws, bias, false);
          const relu = backend.affine(xs, ws, bias, true);
          assert.deepEqual(linear.shape, [...lead, rows, h]);
          assert.deepEqual(relu.shape, [...lead, rows, h]);
          close(await read(linear), expected.flat(2), PRODUCT);
          close(
            await read(relu),
            expected.flat(2).map((v) => Math.max(0, v)),
            PRODUCT,
          );
          assert.ok((await read(relu)).every((v) => v >= 0));
        }));

      test(`gram and columnSums of ${nameOf(shape)}`, () =>
        on(backend, async ({ up, read }) => {
          const [a, b] = [some(4, rows, d), some(5, rows, h)];
          const [as, bs] = [up(a, stacked), up(b, stacked)];
          const product = backend.gram(as, bs);
          const sums = backend.columnSums(as);
          assert.deepEqual(product.shape, [...lead, d, h]);
          assert.deepEqual(sums.shape, [...lead, d]);
          close(await read(product), a.flatMap((own, k) => times(transposed(own), b[k])).flat(), PRODUCT);
          close(
            await read(sums),
            a.flatMap((own) => transposed(own).map((column) => sum(column))),
            SUM,
          );
        }));

      test(`reluGrad of ${nameOf(shape)}`, () =>
        on(backend, async ({ up, read }) => {
          const [g, w] = [some(6, rows, d), some(7, h, d)];
          const active = some(8, rows, h).map((m) => m.map((row) => row.map((v) => Math.max(0, v))));
          const expected = g.map((own, k) =>
            times(own, transposed(w[k])).map((row, i) => row.map((v, j) => (active[k][i][j] > 0 ? v : 0))),
          );
          const out = backend.reluGrad(up(g, stacked), up(w, stacked), up(active, stacked));
          assert.deepEqual(out.shape, [...lead, rows, h]);
          close(await read(out), expected.flat(2), PRODUCT);
        }));

      test(`softmax, argmax and both losses of ${nameOf(shape)}`, () =>
        on(backend, async ({ up, read }) => {
          const mapped = (seed: number, change: (row: number[]) => number[]) =>
            some(seed, rows, h).map((m) => m.map((row) => change(row).map(Math.fround)));
          const logits = mapped(9, (row) => row.map((v) => 5 * v));
          const targets = mapped(11, softmax);
          const costs = mapped(12, (row) => row.map((v) => v * v));
          const [xs, ts, cs] = [logits, targets, costs].map((m) => up(m, stacked));
          const [r, target, cost] = [logits.flat().map(softmax), targets.flat(), costs.flat()];
          const mean = (values: number[]) => sum(values) / values.length;

          close(await read(backend.softmaxRows(xs, 0)), r.flat(), SOFTMAX);
          const smooth = r.flat().map((v) => (v + 1e-3) / (1 + h * 1e-3));
          close(await read(backend.softmaxRows(xs, 1e-3)), smooth, SOFTMAX);
          assert.deepEqual(await backend.argmaxRows(xs), Int32Array.from(logits.flat(), argmax));

          const kl = backend.lossGradient('kl', xs, ts);
          assert.deepEqual([kl.gradient.shape, kl.loss.shape], [xs.shape, [1]]);
          const divergence = r.map((row, i) =>
            sum(row.map((v, j) => target[i][j] * Math.log(target[i][j] / v))),
          );
          close((await read(kl.loss))[0], mean(divergence), LOSS);
          const difference = r.flatMap((row, i) => row.map((v, j) => (v - target[i][j]) / rows));
          close(await read(kl.gradient), difference, SOFTMAX);

          const spent = backend.lossGradient('cost', xs, cs);
          assert.deepEqual([spent.gradient.shape, spent.loss.shape], [xs.shape, [1]]);
          const means = r.map((row, i) => sum(row.map((v, j) => v * cost[i][j])));
          close((await read(spent.loss))[0], mean(means), LOSS);
          const byLogit = r.flatMap((row, i) => row.map((v, j) => (v * (cost[i][j] - means[i])) / rows));
          close(await read(spent.gradient), byLogit, LOSS);
        }));
    }

    test('products use all bits of a float32: the ten of TF32 would give zeros', () =>
      on(backend, async ({ up, vector, read }) => {
        // 1 + 2⁻¹¹ and 1 in turn, times 1 and −1 in turn: 2⁻¹¹ for each pair, exactly.
        const [n, bit] = [64, 2 ** -11];
        const fine = range(n).map((i) => (i % 2 ? 1 : 1 + bit));
        const signs = range(n).map((i) => (i % 2 ? -1 : 1));
        const all = (length: number, value: number) => Array.from({ length }, () => value);
        const [a, b] = [up([all(n, 0).map(() => fine)], false), up([signs.map((s) => all(n, s))], false)];
        const expected = all(n * n, (n / 2) * bit);
        close(await read(backend.affine(a, b, vector(all(n, 0)), false)), expected, 1e-7);
        const [tall, wide] = [fine.map((v) => all(n, v)), signs.map((s) => all(n, s))];
        close(await read(backend.gram(up([tall], false), up([wide], false))), expected, 1e-7);
        const turned = up([all(n, 0).map(() => signs)], false);
        close(
          await read(backend.reluGrad(a, turned, up([all(n, 0).map(() => all(n, 1))], false))),
          expected,
          1e-7,
        );
      }));

    test('large logits do not overflow', () =>
      on(backend, async ({ up, read }) => {
        const logits = [
          [1e4, -1e4, 0],
          [-3e38, 3e38, 0],
          [-500, -500, -501],
          [88, 89, 90],
        ];
        const target = [
          [1, 0, 0],
          [0, 1, 0],
          [0.5, 0.5, 0],
          [0, 0, 1],
        ];
        const r = logits.map(softmax);
        const x = up([logits], false);
        close(await read(backend.softmaxRows(x, 0)), r.flat(), SOFTMAX);
        const kl = backend.lossGradient('kl', x, up([target], false));
        const gradient = r.flatMap((row, i) => row.map((v, j) => (v - target[i][j]) / 4));
        close(await read(kl.gradient), gradient, SOFTMAX);
        const own = (i: number, j: number) => -Math.log(r[i][j]);
        close((await read(kl.loss))[0], (own(2, 0) + Math.log(0.5) + own(3, 2)) / 4, LOSS);
        const wrong = backend.lossGradient('kl', up([logits.slice(0, 1)], false), up([[[0, 1, 0]]], false));
        assert.deepEqual(await read(wrong.loss), Float32Array.of(2e4));
        close(await read(wrong.gradient), [1, -1, 0], SOFTMAX);
      }));

    test('a target of zero adds nothing to the divergence', () =>
      on(backend, async ({ up, read }) => {
        const kl = backend.lossGradient('kl', up([[[-800, 0]]], false), up([[[0, 1]]], false));
        assert.deepEqual(await read(kl.loss), Float32Array.of(0));
        assert.deepEqual(await read(kl.gradient), Float32Array.of(0, 0));
      }));

    test('the first of equal entries is the largest', () =>
      on(backend, async ({ up }) => {
        const x = up(
          [
            [
              [2, 2, 1],
              [0, 3, 3],
              [5, 5, 5],
              [-1, -2, -1],
            ],
          ],
          false,
        );
        assert.deepEqual(await backend.argmaxRows(x), Int32Array.of(0, 1, 0, 0));
      }));

    for (const [rows, d, k, diagonal] of [
      [1, 1, 1, false],
      [5, 1, 3, false],
      [33, 4, 1, false],
      [130, 7, 5, false],
      [3, 12, 20, false],
      [130, 7, 5, true],
      // Too wide for φ itself.
      [7, 33, 5, false],
      [40, 48, 3, false],
    ] as const)
      test(`quadratic form and moments, ${diagonal ? 'diagonal' : 'full'}, [${rows},${d}], K ${k}`, () =>
        on(backend, async ({ up, read }) => {
          const x = randomMatrix(1, rows, d);
          const features = x.map((row) => [
            1,
            ...row,
            ...row.flatMap((v, i) => (diagonal ? [v * v] : row.slice(i).map((u) => v * u))),
          ]);
          const theta = randomMatrix(2, features[0].length, k);
          const r = randomMatrix(3, rows, k).map(softmax);
          const xs = up([x], false);
          const form = backend.quadraticForm(xs, up([theta], false), diagonal);
          const kept = backend.quadraticFeatures(xs, diagonal);
          await read(kept);
          const moments = backend.quadraticMoments(up([r], false), kept);
          assert.deepEqual(form.shape, [rows, k]);
          assert.deepEqual(moments.shape, [k, features[0].length]);
          // Sums of a thousand terms, where they are wide.
          close(await read(form), times(features, theta).flat(), d > 32 ? 2e-4 : PRODUCT);
          close(await read(moments), times(transposed(r), features).flat(), PRODUCT);
        }));

    for (const nets of [undefined, 1, 3])
      test(`log-densities of rows${nets ? ` for each of ${nets} nets` : ''}`, () =>
        on(backend, async ({ up, read }) => {
          const [rows, k, d] = [70, 4, 3];
          const stacked = nets !== undefined;
          const each = (seed: number, m: number, n: number) =>
            range(nets ?? 1).map((c) => randomMatrix(seed + c, m, n));
          const [x, b, c] = [each(1, rows, d), each(21, 1, k * d), each(31, 1, k)];
          const w = each(11, d, k * d).map((of) =>
            of.map((row, p) => row.map((value, e) => (p > e % d ? 0 : value))),
          );
          const vectors = (of: Matrix[]) =>
            backend.upload(flat(of), [...(stacked ? [nets] : []), of[0][0].length]);
          const [bias, constant] = [vectors(b), vectors(c)];
          const out = logDensity(backend, up(x, stacked), up(w, stacked), bias, constant);
          assert.deepEqual(out.shape, [...(stacked ? [nets] : []), rows, k]);
          const expected = x.flatMap((own, n) =>
            times(own, w[n]).flatMap((row) =>
              matrixOf(
                row.map((value, e) => value + b[n][0][e]),
                d,
              ).map((part, j) => c[n][0][j] - sum(part.map((v) => v * v)) / 2),
            ),
          );
          close(await read(out), expected, PRODUCT);
          backend.free(bias, constant);
        }));

    for (const [nets, rows, d, parts] of [
      [1, 1, 1, 1],
      [1, 7, 3, 2],
      [4, 5, 2, 2],
      [3, 2, 6, 3],
    ])
      test(`squared distances of ${nets} × [${rows},${d}] to ${parts}`, () =>
        on(backend, async ({ up, vector, read }) => {
          const x = range(nets).map((k) => randomMatrix(k + 1, rows, d));
          const centres = range(nets).map((k) => randomMatrix(k + 100, parts, d));
          const metric = randomMatrix(50, 1, d)[0].map((v) => Math.fround(v * v));
          const out = backend.squaredDistances(up(x, true), up(centres, true), vector(metric));
          assert.deepEqual(out.shape, [nets, rows, parts]);
          const expected = x.flatMap((own, k) =>
            own.flatMap((row) => centres[k].map((c) => sum(row.map((v, i) => metric[i] * (v - c[i]) ** 2)))),
          );
          close(await read(out), expected, SUM);
        }));

    test('no rows', () =>
      on(backend, async ({ up, vector, read }) => {
        const x = backend.upload(new Float32Array(0), [0, 3]);
        const w = up([randomMatrix(1, 3, 2)], false);
        for (const relu of [false, true]) {
          const out = backend.affine(x, w, vector([1, 2]), relu);
          assert.deepEqual([out.shape, (await read(out)).length], [[0, 2], 0]);
        }
        assert.deepEqual(await backend.argmaxRows(x), new Int32Array(0));
        await read(x);
      }));

    test('a product uses other weights at the same address', () =>
      on(backend, async ({ up, vector }) => {
        const x = randomMatrix(1, 5, 4);
        const [xs, bias] = [up([x], false), vector([0, 0, 0])];
        const addresses = new Set<unknown>();
        for (let seed = 10; seed < 30; seed++) {
          const w = randomMatrix(seed, 4, 3);
          const ws = backend.upload(flat(w), [4, 3]);
          addresses.add((ws as unknown as { address: number }).address);
          const out = backend.affine(xs, ws, bias, false);
          close(await backend.read(out), times(x, w).flat(), PRODUCT);
          backend.free(out, ws);
        }
        // On WASM malloc must reuse the freed memory, or this test would prove nothing.
        if (backend.identity.startsWith('wasm'))
          assert.ok(addresses.size < 10, `${addresses.size} addresses`);
      }));
  });
}

describe('the WASM heap', () => {
  const [backend] = backends;
  const tensor = (seed: number, ...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b);
    return backend.upload(flat(randomMatrix(seed, 1, size)), shape);
  };
  const square = tensor(1, 512, 512);
  const index = Int32Array.from({ length: 1024 }, (_, i) => (7 * i) % 512);
  const values = flat(randomMatrix(2, 512, 512));
  const [tall, wide, bias] = [tensor(3, 512, 1), tensor(4, 1, 512), tensor(5, 512)];
  const [rows, theta] = [tensor(6, 512, 8), tensor(7, 45, 512)];
  const [column, metric] = [tensor(9, 1, 512, 1), tensor(10, 1)];
  const features = backend.quadraticFeatures(tensor(8, 16, 256), true);
  const weighted = tensor(14, 16, 512);
  const whitened = tensor(11, 512, 1024);
  const [weights, biases] = [tensor(12, 8, 4096), tensor(13, 4096)];
  const gradientOf = ({ gradient, loss }: { gradient: Tensor; loss: Tensor }) => {
    backend.free(loss);
    return gradient;
  };

  /** Each leaks up to a megabyte. */
  const VERBS: Record<string, () => Tensor> = {
    upload: () => backend.upload(values, [512, 512]),
    gather: () => backend.gather(square, index),
    affine: () => backend.affine(tall, wide, bias, true),
    gram: () => backend.gram(wide, wide),
    reluGrad: () => backend.reluGrad(square, square, square),
    softmaxRows: () => backend.softmaxRows(square, 1e-5),
    klGradient: () => gradientOf(backend.lossGradient('kl', square, square)),
    costGradient: () => gradientOf(backend.lossGradient('cost', square, square)),
    quadraticForm: () => backend.quadraticForm(rows, theta, false),
    quadraticFeatures: () => backend.quadraticFeatures(rows, false),
    quadraticMoments: () => backend.quadraticMoments(weighted, features),
    whitenedDensity: () => backend.whitenedDensity(whitened, bias),
    logDensity: () => backend.logDensity!(rows, weights, biases, bias)!,
    squaredDistances: () => backend.squaredDistances(column, column, metric),
  };

  for (const [name, verb] of Object.entries(VERBS))
    test(`grows in the middle of ${name}: the result is right, and all others stay`, async () => {
      const first = verb();
      const expected = Buffer.from((await backend.read(first)).buffer);
      const kept = [first];
      for (const before = heap(); heap() === before; ) {
        kept.push(verb());
        assert.ok(kept.length < 3000, 'the heap never grew');
      }
      for (const [i, tensor] of kept.entries())
        assert.ok(expected.equals(Buffer.from((await backend.read(tensor)).buffer)), `tensor ${i}`);
      backend.free(...kept);
    });

  test('a slice shares its tensor’s memory, even after the heap has grown', async () => {
    const slice = backend.slice(square, 5, 2);
    const kept: Tensor[] = [];
    for (const before = heap(); heap() === before; ) kept.push(tensor(12, 512, 512));
    backend.free(...kept);
    const whole = await backend.read(square);
    assert.deepEqual(await backend.read(slice), whole.slice(5 * 512, 7 * 512));
    backend.free(slice);
    assert.deepEqual(await backend.read(square), whole);
  });
});
