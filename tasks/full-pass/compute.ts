import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { attempted, WriteError } from '../../base/files.ts';
import { SHA256_BYTES } from '../../base/hash.ts';
import { createNpy } from '../../data/npy.ts';
import { partName } from '../../data/row-parts.ts';
import { concat } from '../../model/arrays.ts';
import {
  type Candidate,
  type Centres,
  confidenceOf,
  distanceFrom,
  distancesFrom,
  keepLeast,
  reachOf,
} from '../../model/description/distances.ts';
import { rowClusters } from '../../model/gaussian/components.ts';
import { withNoise } from '../../model/gaussian/noise.ts';
import type { Block } from '../../model/layout.ts';
import { NOISE } from '../../model/order.ts';
import { priority } from '../../model/random.ts';
import {
  columnShape,
  forSoftNumbers,
  rowColumns,
  SOFT_NUMBERS,
  softNumbers,
} from '../../model/row-columns.ts';
import { MOST_SHOWN } from '../../model/widths.ts';
import { densitiesFrom, mapFrom, transformFrom } from '../../proto/model-tensors.ts';
import { must } from '../../proto/shapes.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { labelDtype, type Nd, nd, type Tensors, take, zeros } from '../../proto/tensors.ts';
import { clusterOutputs, loadMap, logDensities } from '../../worker/compute/mlp.ts';
import { pick, transformRows } from '../../worker/rows.ts';
import { LocalTrouble } from '../../worker/trouble.ts';
import { sampledRows, type TaskFunction } from '../compute/context.ts';
import { covarianceOf } from '../parameters.ts';

/** The task of the full pass: what is found of each row of a range, and sums by cluster. Files are the coordinator's, but for parts of labels. */

/**
 * Rereads the unit's rows. Returns their hard labels (in the narrowest type), with the largest responsibility of each and its
 * distance from the centre of its cluster, hard float64 statistics of each cluster, and sums by column of its raw rows; the
 * responsibilities if requested, the places on a map if requested, and some rows with their labels for the silhouette. With bounds also which rows are outliers,
 * 1 or 0: they have labels, but do not count in the statistics. Of each cluster also the rows nearest to its centre and those
 * nearest to another cluster, by their places in the unit. With `far` also so many of the rows that no cluster explains, those of the
 * least priorities, and how many there are in all. With `parts` what there is of each row goes to files, of which the hashes are returned.
 */
export const fullPass: TaskFunction<'full-pass'> = async (context, task, unit) => {
  const { backend, states } = context;
  const { byMixture = false, noise } = task;
  const classifier = states.classifier(byMixture);
  const components = classifier.at(-1)!.shape[0];
  const clusters = task.clusters ?? components;
  const k = noise === undefined ? clusters : clusters + 1;
  const groups = task.clusters ? take(states.get('groups'), 'of', 'int32') : null;
  const transform = transformFrom(states.get('transform'));
  const { dim } = transform;
  const covariance = covarianceOf(task);
  const statistics = context.kernel.scatter(new Float64Array(components * dim), dim, covariance);
  const blocks = context.blocks(unit);
  const total = blocks.reduce((sum, block) => sum + block.count, 0);
  const labels = zeros(labelDtype(k), total);
  const flags = transform.fences && new Uint8Array(total);
  const ofMixture = task.components ? new Int32Array(total) : null;
  const soft = task.soft ? new Float32Array(total * k) : null;
  const centres = {
    k: components,
    d: dim,
    covariance,
    values: take(states.get('cluster-centres'), 'rows', 'float32'),
  };
  const numbers = forSoftNumbers(() => new Float32Array(total));
  const distance = new Float32Array(total);
  const density = task.density ? densitiesFrom(states.get('densities'), centres) : null;
  const densities = new Float32Array(density ? total : 0);
  const map = task.map ? loadMap(backend, mapFrom(states.get('map'))) : null;
  const places = new Float32Array(map ? 2 * total : 0);
  const columns = new Float64Array((k + 1) * context.dim);
  const shown = shownRows(k, clusters);
  const bounds =
    task.far > 0 ? { ...centres, values: take(states.get('far-bounds'), 'rows', 'float32') } : null;
  const reach = reachOf(dim);
  const far = farRows(task.far, bounds, reach);
  const priorityOf = priority(context.seed);
  const seenRows: Float32Array[] = [];
  const seenLabels: number[] = [];
  let at = 0;

  const most = Math.min(total, FORWARD_ROWS / 2 + context.layout.blockRows);
  try {
    for await (const { batch, raw } of batches(context.readUnchanged(blocks), most, context.dim)) {
      // Scaling to unit length changes it; bounds only move rows that do not count, and cells that are not known are filled.
      const original = transform.normalize ? raw.slice() : raw;
      const { scaled, rows, outliers } = await transformRows(backend, transform, raw);
      const layers = clusterOutputs(backend, classifier, byMixture, scaled);
      const best = await backend.argmaxRows(layers.at(-1)!);
      const softmax = backend.softmaxRows(layers.at(-1)!, 0);
      const all = await backend.read(softmax);
      backend.free(softmax);
      const own = rowClusters(best, all, groups);
      const outputs = layers.at(-1)!;
      const dense = density ? await logDensities(backend, density, outputs, rows, own.components) : null;
      const inNoise = noise === undefined ? null : withNoise(own, dense!, noise);
      const { labels: z, responsibilities: r } = inNoise ?? own;
      labels.set(z, at);
      ofMixture?.set(
        own.components.map((component, i) => (z[i] < clusters ? component : NOISE)),
        at,
      );
      if (outliers) flags!.set(outliers, at);
      const counting = (of: Int32Array) =>
        outliers || inNoise ? of.map((value, i) => (outliers?.[i] || z[i] >= clusters ? -1 : value)) : of;
      const counted = counting(z);
      statistics.add(rows, counting(own.components));
      addColumns(columns, original, counted);
      soft?.set(r, at * k);
      const found = softNumbers(z, r);
      for (const name of SOFT_NUMBERS) numbers[name].set(found[name], at);
      distance.set(distancesFrom(centres, rows, own.components), at);
      if (dense) densities.set(inNoise?.logDensities ?? dense, at);
      for (const [i, label] of z.entries())
        if (counted[i] >= 0) shown.add(label, at + i, distance[at + i], r, i * k);
      if (map) places.set(await map.place(scaled), 2 * at);
      const fromBounds = bounds && distancesFrom(bounds, rows, own.components);
      let first = 0;
      for (const block of batch) {
        const seen = sampledRows(block, priorityOf, task.silhouette)
          .map((i) => first + i)
          .filter((i) => z[i] < clusters);
        seenRows.push(pick(rows, seen, dim));
        seenLabels.push(...seen.map((i) => z[i]));
        if (fromBounds)
          for (let i = first; i < first + block.count; i++)
            if (fromBounds[i] > reach && counted[i] >= 0)
              far.add(rows, i, at + i, own.components[i], () => priorityOf(block.start + i - first));
        first += block.count;
      }
      backend.free(scaled, ...layers);
      at += first;
    }
  } finally {
    // Rows may not come, as another round is more recent.
    map?.free();
  }
  const T = statistics.read();
  const rows = {
    labels: nd(labels),
    ...(ofMixture && { component: nd(ofMixture) }),
    ...forSoftNumbers((name) => nd(numbers[name])),
    distance: nd(distance),
    ...(density && { log_density: nd(densities) }),
    ...(map && { map: nd(places, total, 2) }),
    ...(flags && { outliers: nd(flags) }),
  };
  if (task.parts?.gaussian) {
    const { confidence } = numbers;
    for (const [i, r] of confidence.entries())
      if (labels[i] < clusters) confidence[i] = confidenceOf(r, distance[i], dim, reach);
  }
  return {
    ...(task.parts ? { hashes: await writePart(context.folder(), task.parts.folder, blocks, rows) } : rows),
    T: nd(T, components, T.length / components),
    seen: nd(concat(seenRows, Float32Array), seenLabels.length, dim),
    seenLabels: nd(Int32Array.from(seenLabels)),
    columns: nd(columns, k + 1, context.dim),
    ...shown.tensors(),
    ...(bounds && far.tensors()),
    ...(soft && { soft: nd(soft, total, k) }),
  };
};

/** Writes the columns of consecutive blocks, each to a file. Returns the SHA-256 of each. */
async function writePart(
  run: string | null,
  folder: string,
  blocks: readonly Block[],
  rows: Tensors,
): Promise<Nd<Uint8Array>> {
  must(run !== null, 'the folder that it writes to is not known');
  const place = join(run, folder);
  const [first, last] = [blocks[0], blocks.at(-1)!];
  const [from, to] = [first.start, last.start + last.count];
  must(last.index - first.index === blocks.length - 1, 'the rows of a part are not consecutive');
  const has = (name: string) => name in rows;
  const columns = rowColumns({
    component: has('component'),
    log_density: has('log_density'),
    map: has('map'),
    outliers: has('outliers'),
  });
  const hashes = new Uint8Array(columns.length * SHA256_BYTES);
  try {
    if (attempted(place, 'written', () => realpathSync(place)) !== place)
      throw new LocalTrouble(`${place} is a link, and nothing is written through links`);
    for (const [i, [name, column]] of columns.entries()) {
      const path = join(place, partName(column.file, from, to));
      const file = createNpy(path, column.dtype, columnShape(column, to - from));
      file.write(rows[name].data, 0);
      hashes.set(Buffer.from(await file.sha256(), 'hex'), i * SHA256_BYTES);
      file.finish();
    }
  } catch (error) {
    // The disk or the network that it is on: another worker may see it.
    throw error instanceof WriteError ? new LocalTrouble(error.message) : error;
  }
  return nd(hashes, columns.length, SHA256_BYTES);
}

/** Adds, by column, Σx of the rows with each label, and after these Σx² of all of them. */
function addColumns(sums: Float64Array, rows: Float32Array, labels: Int32Array): void {
  const dim = rows.length / labels.length;
  const squares = sums.length - dim;
  for (const [i, label] of labels.entries()) {
    if (label < 0) continue;
    for (let j = 0, from = i * dim, to = label * dim; j < dim; j++) {
      const x = rows[from + j];
      sums[to + j] += x;
      sums[squares + j] += x * x;
    }
  }
}

/** By how much the sum of a row's responsibilities may differ from 1. */
const SUM_ERROR = 1e-4;

/** Finds the rows to show of each cluster. Rows have k responsibilities, the first those of the clusters. */
function shownRows(k: number, clusters: number) {
  const lists = <C extends Candidate>() => Array.from({ length: k }, (): C[] => []);
  const exemplars = lists();
  const border = lists<Candidate & { rival: number }>();
  const table = <C extends Candidate>(from: C[][], of: (candidate: C) => number): number[] =>
    from.flatMap((list) => Array.from({ length: MOST_SHOWN }, (_, i) => (list[i] ? of(list[i]) : -1)));
  return {
    /** The row's responsibilities begin at `from`. */
    add(label: number, row: number, distance: number, r: Float32Array, from: number): void {
      keepLeast(exemplars[label], { row, value: distance });
      const most = r[from + label];
      // All others together have no more than what is left.
      if (2 * most - 1 - SUM_ERROR > (border[label][MOST_SHOWN - 1]?.value ?? 1)) return;
      let rival = -1;
      for (let c = 0; c < clusters; c++)
        if (c !== label && (rival < 0 || r[from + c] > r[from + rival])) rival = c;
      const value = Math.fround(most - r[from + rival]);
      if (rival >= 0 && value >= 0) keepLeast(border[label], { row, value, rival });
    },
    tensors: (): Tensors => ({
      exemplars: nd(Int32Array.from(table(exemplars, ({ row }) => row)), k, MOST_SHOWN),
      border: nd(Int32Array.from(table(border, ({ row }) => row)), k, MOST_SHOWN),
      rival: nd(Int32Array.from(table(border, ({ rival }) => rival)), k, MOST_SHOWN),
      margin: nd(Float32Array.from(table(border, ({ value }) => value)), k, MOST_SHOWN),
    }),
  };
}

/** Keeps those rows beyond the reach of all clusters that have the least priorities, `most` of them. */
function farRows(most: number, bounds: Centres | null, reach: number) {
  let kept: { place: number; component: number; priority: number; row: Float32Array }[] = [];
  let all = 0;
  const least = () => kept.sort((a, b) => a.priority - b.priority || a.place - b.place).slice(0, most);
  return {
    /** The row at `at` of these, at `place` in the unit: it is beyond the reach of its component. */
    add(rows: Float32Array, at: number, place: number, component: number, priorityOf: () => number): void {
      const { k, d } = bounds!;
      for (let other = 0; other < k; other++) if (distanceFrom(bounds!, other, rows, at * d) <= reach) return;
      all++;
      kept.push({ place, component, priority: priorityOf(), row: rows.slice(at * d, (at + 1) * d) });
      if (kept.length >= 2 * most) kept = least();
    },
    tensors(): Tensors {
      const rows = least();
      return {
        far: nd(Int32Array.from(rows, ({ place }) => place)),
        farComponents: nd(Int32Array.from(rows, ({ component }) => component)),
        farRows: nd(
          concat(
            rows.map(({ row }) => row),
            Float32Array,
          ),
          rows.length,
          bounds!.d,
        ),
        allFar: nd(Int32Array.of(all)),
      };
    },
  };
}

/** Groups small blocks for a common forward pass. Their rows are valid until the next are asked for. */
async function* batches(
  stream: AsyncIterable<[Block, Float32Array]>,
  most: number,
  dim: number,
): AsyncGenerator<{ batch: Block[]; raw: Float32Array }> {
  const memory = new Float32Array(most * dim);
  let batch: Block[] = [];
  let rows = 0;
  for await (const [block, values] of stream) {
    memory.set(values, rows * dim);
    batch.push(block);
    rows += block.count;
    if (rows < FORWARD_ROWS / 2) continue;
    yield { batch, raw: memory.subarray(0, rows * dim) };
    batch = [];
    rows = 0;
  }
  if (batch.length) yield { batch, raw: memory.subarray(0, rows * dim) };
}

/** The tasks of this file, by name. */
export const tasks = {
  'full-pass': fullPass,
};
