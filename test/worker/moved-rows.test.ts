// Transforms that move columns before they scale rows to unit length: the same rows for all that apply them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { densityTensors } from '../../coordinator/fit/publish.ts';
import { writeModel } from '../../coordinator/fit/saved-model.ts';
import type { Transform } from '../../data/transform.ts';
import { planFeatures } from '../../data/transform-plan.ts';
import { centresOf, QUANTILE_STEPS } from '../../model/description/distances.ts';
import type { Mixture } from '../../model/mixture.ts';
import { layersOf } from '../../model/nets/net.ts';
import { generator } from '../../model/random.ts';
import { classifierOf, classify } from '../../model/state.ts';
import type { ModelSteps } from '../../model/steps.ts';
import { readSample } from '../../page/rows.ts';
import { transformFrom } from '../../proto/model-tensors.ts';
import { take } from '../../proto/tensors.ts';
import { encodeModel, MODEL, readModel } from '../../run/model-file.ts';
import { Misfit } from '../../run/model-shapes.ts';
import { openPredictor } from '../../run/passes/predict.ts';
import { runFiles } from '../../run/run-files.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import { createStates } from '../../tasks/compute/context.ts';
import { transformRows, transformSample } from '../../worker/rows.ts';
import { scratchFolder } from '../data/files.ts';
import { logDensities } from '../model/support.ts';
import { run, SHARDS } from '../tasks/support.ts';
import { backends } from './present.ts';
import {
  agrees,
  argmax,
  D,
  livelyNet,
  matrixOf,
  momentsOf,
  range,
  sum,
  transformState,
  weightsOf,
  world,
} from './support.ts';

const { folder } = scratchFolder();
const w = world();
const rows = matrixOf(w.raw, D);
const unit = (row: number[]) => row.map((v) => v / Math.hypot(...row));

const CENTRE = momentsOf(rows).mean;
const FACTOR = Float64Array.of(1, 0.1, 10);
/** Beyond 1.5 standard deviations or so of the second column, so many rows; moved to where others are. */
const FENCES = {
  columns: Int32Array.of(1),
  low: Float32Array.of(-10),
  high: Float32Array.of(70),
  least: Float32Array.of(-9),
  most: Float32Array.of(60),
};
const isOutlier = (row: number[]) => row[1] < -10 || row[1] > 70;

const { mean, covariance } = momentsOf(
  rows.filter((row) => !isOutlier(row)).map((row) => unit(row.map((v, d) => (v - CENTRE[d]) * FACTOR[d]))),
);
const transform: Transform = planFeatures({
  centre: CENTRE,
  factor: FACTOR,
  kept: range(D),
  ...{ mean, covariance, axes: 2, fences: FENCES },
}).transform;
const net = livelyNet(4, [8], 2);
const mixture: Mixture = {
  ...{ k: 4, d: 2, covariance: 'full', weights: Float64Array.of(0.4, 0.3, 0.2, 0.1) },
  means: [-1, -0.3, 0.3, 1].map((a, k) => Float64Array.of(a, k % 2).map((v, i) => v * transform.scale[i])),
  covariances: [1, 2, 3, 4].map((a) =>
    Float64Array.of(a, 0.3, 0.3, 1).map((v, p) => (v * transform.scale[p >> 1] * transform.scale[p % 2]) / 4),
  ),
};
/** By the net, as in the paper, or by the mixture. */
const KINDS = ['paper', 'fast'] as const;
const byOf = (schedule: (typeof KINDS)[number]) => classifierOf(schedule, { net, mixture }, transform.scale);

/** y of a row, in float64: outliers are moved first, as the fences are of rows as they are in the file. */
function byHand(row: number[]): number[] {
  const fenced = isOutlier(row) ? row.with(1, Math.min(Math.max(row[1], -9), 60)) : row;
  const u = unit(fenced.map((v, d) => (v - CENTRE[d]) * FACTOR[d]));
  return range(2).map((a) => transform.bias[a] + sum(u.map((v, d) => v * transform.weights[d * 2 + a])));
}

for (const backend of backends)
  describe(`rows that are moved and scaled to unit length, on ${backend.identity}`, () => {
    test('workers get the transform of the coordinator', () => {
      for (const of of [transform, { ...transform, fences: null }, w.transform]) {
        const states = createStates(backend);
        states.put('transform', 1, transformState(of, w.below));
        assert.deepEqual(transformFrom(states.get('transform')), of);
      }
      for (const name of ['before.factor', 'before.shift', 'fences.columns', 'fences.low', 'fences.most']) {
        const { [name]: _, ...rest } = transformState(transform, w.below);
        assert.throws(() => transformFrom(rest), new RegExp(name));
      }
    });

    test('y and x are those of the definition, also of outliers', async () => {
      const { scaled, rows: x, outliers } = await transformRows(backend, transform, w.raw.slice());
      const y = rows.map(byHand);
      agrees(await backend.read(scaled), y.flat(), 5e-6, 'y');
      agrees(
        x,
        y.flatMap((row) => row.map((v, a) => v * transform.scale[a])),
        5e-6,
        'x',
      );
      assert.deepEqual(
        [...outliers!],
        rows.map((row) => Number(isOutlier(row))),
      );
      assert.ok(outliers!.includes(1) && outliers!.includes(0));
      backend.free(scaled);
    });

    test('outliers are not in the sample', async () => {
      const { scaled, rows: x } = await transformSample(
        backend,
        transform,
        w.raw.slice(),
        generator(0n, 'none'),
      );
      const inside = rows.filter((row) => !isOutlier(row));
      assert.deepEqual(scaled.shape, [inside.length, 2]);
      agrees(await backend.read(scaled), inside.flatMap(byHand), 5e-6);
      assert.equal(x.length, 2 * inside.length);
      backend.free(scaled);
    });
  });

/** A run directory with this model in it. */
async function saved(
  name: string,
  of: Transform,
  identity: string,
  schedule: (typeof KINDS)[number],
): Promise<string> {
  const path = join(folder, name);
  const put = (file: string, content: string | Uint8Array) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), content);
  };
  const parts: Uint8Array[] = [];
  const out = {
    stream: (file: string) => ({
      write: (bytes: Uint8Array) => parts.push(bytes),
      finish: () => put(file, Buffer.concat(parts)),
      abort() {},
    }),
  };
  const k = 4;
  writeModel(
    { transform: of, config: { schedule } } as never,
    { net, mixture } as never,
    { names: null },
    null,
    { mean: new Float64Array(of.input), covariance: new Float64Array(of.input) } as never,
    {
      centres: centresOf(mixture),
      quantiles: new Float32Array(k * (QUANTILE_STEPS + 1)),
      densities: null,
      map: {
        dim: 2,
        ...{ axes: new Float32Array(4), shift: new Float32Array(2) },
        ...{ units: new Float32Array(0), places: new Float32Array(0) },
      },
    },
    out,
  );
  put('run.json', JSON.stringify({ identity, result: { k: 1 } }));
  return path;
}

for (const schedule of KINDS)
  describe(`a saved transform that moves rows, labelled by the ${schedule === 'paper' ? 'net' : 'mixture'}`, async () => {
    const [backend] = backends;
    const path = await saved(schedule, transform, backend.identity, schedule);
    const by = byOf(schedule);
    const byMixture = 'mixture' in by;
    const memory = (values: Float32Array) => ({
      rows: values.length / D,
      dim: D,
      dtype: 'float32',
      read: async (start: number, count: number) => values.slice(start * D, (start + count) * D),
      stored: async (row: number) => Float64Array.from(values.subarray(row * D, (row + 1) * D)),
      close() {},
    });
    const predicted = async (values: Float32Array) => {
      const log = (line: string) => assert.fail(line);
      const predictor = await openPredictor({
        ...{ run: path, trained: readTrainedModel(path), soft: false, log },
        ...{ source: memory(values), name: 'data' },
      });
      const labels: number[] = [];
      for await (const piece of predictor.pieces()) labels.push(...piece.labels);
      predictor.close();
      return labels;
    };

    test('is read back as it was, and so is one that does not', async () => {
      assert.deepEqual(readTrainedModel(path).transform, transform);
      const model = readTrainedModel(path);
      assert.equal(model.byMixture, byMixture);
      const layers = model.classifier.map(({ values }) => values);
      assert.deepEqual(
        layers,
        byMixture ? Object.values(densityTensors(by.mixture)).map(({ data }) => data) : net.params,
      );
      const plain = { ...transform, before: null };
      const other = await saved(`${schedule}-plain`, plain, backend.identity, schedule);
      assert.deepEqual(readTrainedModel(other).transform, plain);
      assert.equal(readModel(runFiles(other)).model.before, undefined);
    });

    test('labels of predict are those of the full pass, and of the definition', async () => {
      const labels = await predicted(w.raw);
      const worker = w.newWorker(backend);
      worker.put('transform', transformState(transform, w.below));
      worker.put('net', weightsOf(net));
      if (byMixture) worker.put('e-step', densityTensors(by.mixture));
      const task = {
        task: 'full-pass',
        diagonal: true,
        soft: false,
        silhouette: 0,
        far: 0,
        byMixture,
      } as const;
      for (const shard of SHARDS) {
        const result = await run(worker, task, shard);
        assert.deepEqual(
          [...take(result, 'labels', 'uint8')],
          w.rowsOf(shard).map((row) => labels[row]),
        );
      }
      const [layer, last] = layersOf(net);
      const byNet = (y: number[]) => {
        const hidden = range(8).map((j) =>
          Math.max(0, layer.bias[j] + sum(y.map((v, i) => v * layer.weights[i * 8 + j]))),
        );
        return range(4).map((j) => last.bias[j] + sum(hidden.map((v, i) => v * last.weights[i * 4 + j])));
      };
      const x = (y: number[]) => Float64Array.from(y, (v, i) => v * transform.scale[i]);
      const outputs = (y: number[]) => (byMixture ? [...logDensities(mixture, x(y))] : byNet(y));
      assert.deepEqual(
        labels,
        rows.map((row) => argmax(outputs(byHand(row)))),
      );
      assert.ok(new Set(labels).size > 1);
    });

    test('rows in reports and in the live picture are the same', async () => {
      const y = await readSample(memory(w.raw), transform);
      assert.equal(y.numbers.length, rows.length);
      agrees(y.rows, rows.flatMap(byHand), 5e-6);
      assert.deepEqual([...classify(by, y.rows)], await predicted(w.raw));
    });

    test('values so large that moved they could overflow are refused', async () => {
      const large = w.raw.slice();
      large[7] = 2e18;
      await assert.rejects(predicted(large), /row 2, column 1 .*larger than the supported maximum/);
    });

    test('a model whose steps do not fit each other is refused', () => {
      const { model } = readModel(runFiles(path));
      const { before, coordinates, moments, distances } = model;
      const short = <A extends Float32Array | Float64Array>(values: A) => values.subarray(1) as A;
      for (const [step, other] of Object.entries<ModelSteps>({
        before: { before: { factor: short(before!.factor), shift: before!.shift } },
        'before ': { before: { factor: before!.factor, shift: Float32Array.of(0, Number.NaN, 0) } },
        coordinates: { coordinates: { scale: short(coordinates!.scale), offset: coordinates!.offset } },
        moments: { moments: { mean: short(moments!.mean), deviation: short(moments!.deviation) } },
        distances: { distances: { centres: short(distances!.centres), quantiles: distances!.quantiles } },
        ...(model.mixture && {
          mixture: { mixture: { ...model.mixture, constant: short(model.mixture.constant) } },
        }),
        ...(model.net && { net: { net: { ...model.net, params: short(model.net.params) } } }),
      }))
        assert.throws(() => encodeModel({ model: { ...model, ...other }, names: null }), Misfit, step);
      const file = join(path, MODEL);
      const bytes = readFileSync(file);
      for (const [missing, message] of [
        ['unit', /its rows are moved, but not scaled to unit length/],
        ['coordinates', /one of its steps is missing/],
      ] as const) {
        writeFileSync(
          file,
          Buffer.concat(encodeModel({ model: { ...model, [missing]: undefined }, names: null })),
        );
        assert.throws(() => readTrainedModel(path), { name: 'UserError', message });
      }
      writeFileSync(file, bytes);
      assert.deepEqual(readTrainedModel(path).transform, transform);
    });
  });
