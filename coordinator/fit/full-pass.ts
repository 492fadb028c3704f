import { createHash } from 'node:crypto';
import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import type { MutableNumbers } from '../../data/npy.ts';
import { CONFIDENCES, DISTANCES, LABELS, MAP, rowShape } from '../../data/row-parts.ts';
import { concat, splitEvenly } from '../../model/arrays.ts';
import { confidenceOf, distanceCounts, reachOf } from '../../model/description/distances.ts';
import { type Candidate, keepLeast } from '../../model/description/least-rows.ts';
import { nextSplits } from '../../model/hierarchy/dendrogram.ts';
import { blockCount, type Layout, shardBlocks, unitBlocks } from '../../model/layout.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { FarRows } from '../../model/missed.ts';
import {
  bySize,
  isUnchanged,
  type Order,
  placesOf,
  renumberLabels,
  reorderColumns,
} from '../../model/order.ts';
import { priority } from '../../model/random.ts';
import { contingencyCounter } from '../../model/scores.ts';
import type { State } from '../../model/state.ts';
import { treeAccumulator } from '../../model/tree.ts';
import { MOST_SHOWN } from '../../model/widths.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { bytesOf, type Nd, type Tensors, take } from '../../proto/tensors.ts';
import type { FullPassResult, ShownRows } from '../../run/descriptions.ts';
import { type SavedTree, savedTree } from '../../run/tree.ts';
import { TASKS, type Task, type TaskOf } from '../../tasks/table.ts';
import type { Dispatcher } from '../rounds/dispatcher.ts';
import { sumOfNodes, unitsOf } from '../rounds/sums.ts';
import type { Prepared, TrainingRun } from './run-context.ts';

/** Rows per unit: enough to be worth a message, few enough to balance the load. */
const UNIT_ROWS = 1 << 18;
/** Bytes of responsibilities per message. */
const SOFT_BYTES = 16 << 20;
/** What there is of each row besides its label: the tensor, and the file that it goes to. */
const ROW_COLUMNS = [
  ['confidence', CONFIDENCES],
  ['distance', DISTANCES],
  ['map', MAP],
] as const;
/** Rows of which the silhouette is computed, on average. */
const SILHOUETTE_ROWS = 1000;

/** A file that is written in pieces: `data` from element `first` on. */
export interface OutputFile {
  write(data: Float32Array | Int32Array | Uint8Array, first: number): void;
  /** Changes what has been written, in place and in pieces of whole rows of `width` elements. */
  update(width: number, change: (piece: MutableNumbers) => void): Promise<void>;
  finish(): Promise<void>;
  abort(): void;
}

/** Creates the files for labels and responsibilities. */
export interface Output {
  pieces(name: string, dtype: '<f4' | '<i4' | '|b1', shape: number[]): OutputFile;
}

const NO_FILE: OutputFile = { write() {}, async update() {}, async finish() {}, abort() {} };

/** Keeps labels only: in the file that `open` starts. */
export const labelsOnly = (
  open: (dtype: '<f4' | '<i4' | '|b1', shape: number[]) => Partial<OutputFile>,
): Output => ({
  pieces: (name, dtype, shape) => ({ ...NO_FILE, ...(name === LABELS && open(dtype, shape)) }),
});

/** The parts of rows `from … to−1` that workers write. */
export interface LabelParts {
  /** The results of these rows that were saved; null if there are none. */
  saved(from: number, to: number): Tensors | null;
  /** The columns of these rows, of whose files `hashes` has the SHA-256. UserError if a file is not that. */
  read(from: number, to: number, hashes: Uint8Array): Tensors;
  /** Saves the other results of these rows. `failed` gets the error if that is not possible. */
  save(from: number, to: number, results: Tensors, failed: (error: Error) => void): void;
  /** Gives the files their places and clusters their `numbers`, and writes the index. May be repeated. */
  finish(numbers: readonly number[]): Promise<void>;
}

/** What a review is given, by output unit. */
export interface Reviewed {
  T: Float64Array[];
  far: FarRows;
}

/** Some clusters have no rows, or none but outliers: these have to get labels of others. */
export class OutliersAlone extends Error {
  override name = 'OutliersAlone';
  /** The output units without other rows. */
  readonly units: number[];

  constructor(units: number[]) {
    super('only outliers have the label of a cluster');
    this.units = units;
  }
}

/**
 * The full pass: labels all rows and writes the labels (and responsibilities) to `out` as they arrive. Then the clusters are
 * numbered by size, and the files get their names. OutliersAlone instead if that has to be done again without some of the output
 * units. `below`: of the sample that training ended with. `byMixture`: of the workers' classifiers. `far`: how many rows that no cluster explains are kept for `review`; if that does
 * not find the labels good, they are not written, and the result is null. `map`: rows are placed on the workers' map too. `ids`: of clusters that keep their numbers, and are written as these.
 * `parts`: where workers write what there is of each row, given what is new with all that labels depend on; else it goes to `out`.
 */
export async function labelAllRows(
  {
    config,
    transform,
    likelihood,
    dispatcher,
  }: Pick<Prepared, 'config' | 'transform' | 'likelihood'> & { dispatcher: Dispatcher },
  layout: Layout,
  k: number,
  truth: Int32Array | null,
  out: Output,
  {
    below = 1,
    far = 0,
    byMixture = false,
    map = false,
    ids,
    parts: partsOf,
    review,
  }: {
    below?: number;
    far?: number;
    byMixture?: boolean;
    map?: boolean;
    ids?: readonly number[];
    parts?: (key: string) => LabelParts;
    review?: (found: Reviewed) => Promise<boolean>;
  } = {},
): Promise<FullPassResult | null> {
  const { soft, covariance } = config;
  // Parts are of consecutive rows.
  const shards = unitBlocks(layout).map((blocks, shard) =>
    (shard === layout.shards) === (partsOf !== undefined) ? blocks : [],
  );
  const shardOf = shardOfRow(layout);
  const counter = truth && contingencyCounter();
  const counts = Array<number>(k).fill(0);
  const sampledOutliers = Array.from({ length: layout.shards }, (): number[] => []);
  const priorityOf = priority(layout.seed);
  const writer = labelWriter(
    partsOf ? { pieces: () => NO_FILE } : out,
    layout,
    k,
    {
      soft,
      map,
      outliers: transform?.fences != null,
      d: likelihood.name === 'gaussian' ? transform.dim : null,
    },
    (labels, start) => {
      for (const label of labels) counts[label]++;
      counter?.add(labels, truth!.subarray(start, start + labels.length));
    },
  );
  const units = unitsOf(
    layout,
    shards,
    soft ? Math.min(UNIT_ROWS, Math.ceil(SOFT_BYTES / 4 / k)) : UNIT_ROWS,
  );
  const placeOf = ({ shard, from }: WorkUnit) => `${shard}/${from}`;
  const places = new Map(units.map((unit, i) => [placeOf(unit), i]));
  const seen = new Map<WorkUnit, Tensors>();
  const sums = treeAccumulator();
  const shown = clusterRowsCollector(k);
  const farRows = farRowsCollector(far, priorityOf);
  const blocksOf = ({ shard, from, to }: WorkUnit) => shards[shard].slice(from, to);
  const silhouette = Math.min(1, SILHOUETTE_ROWS / layout.rows);
  const task: TaskOf<'full-pass'> = {
    task: 'full-pass',
    diagonal: covariance === 'diag',
    soft,
    silhouette,
    far,
    byMixture,
    ...(map && { map }),
  };
  const key = partsOf && keyOf(task, layout, dispatcher.state);
  const parts = key ? partsOf(key) : undefined;
  if (key) task.parts = { folder: key, gaussian: likelihood.name === 'gaussian' };
  const partsInOrder = () => units.map((unit) => seen.get(unit)!);
  let T: Float64Array[];
  let columnSums: Float64Array[];
  let order: Order;
  const rowsOf = (unit: WorkUnit) => {
    const [first, last] = [blocksOf(unit)[0], blocksOf(unit).at(-1)!];
    return [first.start, last.start + last.count] as const;
  };
  /** The results of a unit with what workers have written of its rows. */
  const whole = (unit: WorkUnit, results: Tensors): Tensors => {
    if (!parts) return results;
    const rows = parts.read(...rowsOf(unit), take(results, 'hashes', 'uint8'));
    assertRows(rows, k);
    return { ...results, ...rows };
  };
  function add(unit: WorkUnit, part: Tensors): void {
    writer.write(blocksOf(unit), part);
    if (part.outliers) {
      const flags = take(part, 'outliers', 'uint8');
      let at = 0;
      for (const { start, count } of blocksOf(unit))
        for (let i = 0; i < count; i++)
          if (flags[at++] && priorityOf(start + i) < below) sampledOutliers[shardOf(start)].push(start + i);
    }
    const index = places.get(placeOf(unit))!;
    // Copies: they are overwritten, the part may have yet to be saved, and a view would keep all that came with it.
    const own = { T: take(part, 'T', 'float64').slice(), columns: take(part, 'columns', 'float64').slice() };
    sums.add({ from: index, to: index + 1, sums: own });
    shown.add(part, rowAt(blocksOf(unit)));
    if (far > 0) farRows.add(part, rowAt(blocksOf(unit)));
    seen.set(units[index], { seen: copied(part.seen), seenLabels: copied(part.seenLabels) });
  }
  /** Takes what an earlier session has saved of the unit; false if there is nothing. */
  async function takeSaved(unit: WorkUnit): Promise<boolean> {
    const saved = parts?.saved(...rowsOf(unit));
    if (!saved || TASKS.resultCheck(layout, [task], (name) => dispatcher.state(name)!)([saved], [unit]))
      return false;
    await yieldToEventLoop();
    let found: Tensors;
    try {
      found = whole(unit, saved);
    } catch {
      return false;
    }
    add(unit, found);
    return true;
  }
  try {
    const missing: WorkUnit[] = [];
    for (const unit of units) if (!(await takeSaved(unit))) missing.push(unit);
    await dispatcher.round({
      tasks: [task],
      units: missing,
      streams: true,
      each(unit, [part]) {
        try {
          add(unit, whole(unit, part));
          parts?.save(...rowsOf(unit), part, dispatcher.abort);
        } catch (error) {
          // A write error, such as a full disk, ends the round, not the process.
          dispatcher.abort(error as Error);
        }
      },
    });
    T = splitEvenly(sumOfNodes(sums.nodes(), 'T'), k);
    columnSums = splitEvenly(sumOfNodes(sums.nodes(), 'columns'), k + 1);
    const empty = T.flatMap(([rows], unit) => (rows === 0 ? [unit] : []));
    if (!ids && empty.length < k && empty.some((unit) => counts[unit] > 0)) throw new OutliersAlone(empty);
    if (review && !(await review({ T, far: farRows.result() }))) {
      writer.abort();
      return null;
    }
    order = ids ? [...counts.keys()] : bySize(counts);
    await writer.finish(order, ids);
    await parts?.finish(Array.from(placesOf(order)));
  } catch (error) {
    writer.abort();
    throw error;
  }
  return {
    order,
    T: order.map((unit) => T[unit]),
    counts: order.map((unit) => counts[unit]),
    sampled: sampledRows(partsInOrder()),
    table: counter ? counter.table(order) : null,
    sampledOutliers,
    unexplained: writer.unexplained(),
    outliers: layout.rows - T.reduce((sum, [rows]) => sum + rows, 0),
    columns: { sums: order.map((unit) => columnSums[unit]), squares: columnSums[k] },
    shown: shown.result(order),
  };
}

const copied = ({ shape, data }: Nd): Nd => ({ shape, data: data.slice() });

/** What is new with all that labels depend on. */
function keyOf(task: Task, layout: Layout, state: Dispatcher['state']): string {
  const hash = createHash('sha256').update(JSON.stringify([task, layout]));
  for (const name of TASKS.statesOf(task))
    for (const [tensor, { shape, data }] of Object.entries(state(name)!).sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(JSON.stringify([name, tensor, shape])).update(bytesOf(data));
  return hash.digest('hex').slice(0, 16);
}

/** Throws unless the columns of some rows are such as a worker returns. */
function assertRows(rows: Tensors, k: number): void {
  const labels = rows.labels.data;
  const { data: distance } = rows.distance;
  if (labels.some((label) => !(label >= 0 && label < k)) || distance.some((value) => !(value >= 0)))
    throw new UserError('a part of the labels has values that are none');
}

/** The shard of the block with a row. */
function shardOfRow(layout: Layout): (row: number) => number {
  const shards = new Uint16Array(blockCount(layout));
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { index } of blocks) shards[index] = shard;
  return (row) => shards[Math.floor(row / layout.blockRows)];
}

/** The row at each place in these blocks. */
function rowAt(blocks: { start: number; count: number }[]): (place: number) => number {
  return (place) => {
    let before = 0;
    for (const { start, count } of blocks) {
      if (place < before + count) return start + place - before;
      before += count;
    }
    throw new RangeError(`there is no place ${place}`);
  };
}

/**
 * Writes a unit's labels, largest responsibilities, distances and places on the map, all responsibilities if `soft`, and which rows are `outliers`, to
 * their places; none of it stays in memory. Clusters get their numbers in the files once all rows are counted. `each` gets the
 * labels of every block. `d`: of Gaussian clusters, whose distances say how sure labels are.
 */
function labelWriter(
  out: Output,
  layout: Layout,
  k: number,
  { soft, map, outliers, d }: { soft: boolean; map: boolean; outliers: boolean; d: number | null },
  each: (labels: Int32Array, start: number) => void,
) {
  const labels = out.pieces(LABELS, '<i4', [layout.rows]);
  let unexplained = 0;
  const columns = ROW_COLUMNS.filter(([tensor]) => tensor !== 'map' || map).map(([tensor, name]) => {
    const shape = rowShape(name, layout.rows);
    return { tensor, width: shape[1] ?? 1, file: out.pieces(name, '<f4', shape) };
  });
  const responsibilities = soft ? out.pieces('responsibilities.npy', '<f4', [layout.rows, k]) : null;
  const flags = outliers ? out.pieces('outliers.npy', '|b1', [layout.rows]) : null;
  return {
    unexplained: () => unexplained,
    write(blocks: { start: number; count: number }[], part: Tensors): void {
      const all = Int32Array.from(part.labels.data);
      const r = soft ? take(part, 'soft', 'float32') : null;
      const confidence = take(part, 'confidence', 'float32');
      if (d !== null) {
        const distance = take(part, 'distance', 'float32');
        const reach = reachOf(d);
        for (let i = 0; i < confidence.length; i++) {
          if (distance[i] > reach && !part.outliers?.data[i]) unexplained++;
          confidence[i] = confidenceOf(confidence[i], distance[i], d, reach);
        }
      }
      let at = 0;
      for (const { start, count } of blocks) {
        const own = all.subarray(at, at + count);
        labels.write(own, start);
        for (const { tensor, width, file } of columns)
          file.write(take(part, tensor, 'float32').subarray(at * width, (at + count) * width), start * width);
        if (r) responsibilities!.write(r.subarray(at * k, (at + count) * k), start * k);
        flags?.write(take(part, 'outliers', 'uint8').subarray(at, at + count), start);
        each(own, start);
        at += count;
      }
    },
    async finish(order: Order, ids?: readonly number[]): Promise<void> {
      const numbers = Array.from(placesOf(order), (place) => ids?.[place] ?? place);
      if (!isUnchanged(numbers)) await labels.update(1, (piece) => renumberLabels(piece, numbers));
      if (!isUnchanged(order)) await responsibilities?.update(k, (piece) => reorderColumns(piece, order));
      await labels.finish();
      for (const { file } of columns) await file.finish();
      await responsibilities?.finish();
      await flags?.finish();
    },
    abort(): void {
      labels.abort();
      for (const { file } of columns) file.abort();
      responsibilities?.abort();
      flags?.abort();
    },
  };
}

function sampledRows(parts: Tensors[]): FullPassResult['sampled'] {
  const rows = parts.map((part) => take(part, 'seen', 'float32'));
  return {
    rows: concat(rows, Float32Array),
    labels: parts.flatMap((part) => [...take(part, 'seenLabels', 'int32')]),
  };
}

/** Collects the rows that no cluster explains, those of the least priorities, in whatever order their units come. */
function farRowsCollector(most: number, priorityOf: (row: number) => number) {
  let kept: { priority: number; label: number; values: Float32Array }[] = [];
  let all = 0;
  return {
    /** `rowAt`: the rows of the part, by their place in it. */
    add(part: Tensors, rowAt: (place: number) => number): void {
      const places = take(part, 'far', 'int32');
      const rows = take(part, 'farRows', 'float32');
      const d = rows.length / places.length;
      all += take(part, 'allFar', 'int32')[0];
      for (const [i, place] of places.entries())
        kept.push({
          priority: priorityOf(rowAt(place)),
          label: part.labels.data[place],
          values: rows.slice(i * d, (i + 1) * d),
        });
      kept = kept.sort((a, b) => a.priority - b.priority).slice(0, most);
    },
    result: (): FarRows => ({
      rows: concat(
        kept.map(({ values }) => values),
        Float32Array,
      ),
      labels: Int32Array.from(kept, ({ label }) => label),
      share: all ? kept.length / all : 1,
    }),
  };
}

/** Collects them from the parts of the full pass, whose order does not matter. Outliers do not count. */
function clusterRowsCollector(k: number) {
  const lists = <C extends Candidate>() => Array.from({ length: k }, (): C[] => []);
  const exemplars = lists();
  const border = lists<Candidate & { rival: number }>();
  const counts = distanceCounts(k);
  return {
    /** `rowAt`: the rows of the part, by their place in it. */
    add(part: Tensors, rowAt: (place: number) => number): void {
      const labels = part.labels.data;
      const flags = part.outliers?.data;
      const distance = take(part, 'distance', 'float32');
      for (let i = 0; i < labels.length; i++) if (!flags?.[i]) counts.add(labels[i], distance[i]);
      const nearest = take(part, 'exemplars', 'int32');
      const beside = take(part, 'border', 'int32');
      const rivals = take(part, 'rival', 'int32');
      const margins = take(part, 'margin', 'float32');
      for (let p = 0; p < nearest.length; p++) {
        const cluster = Math.floor(p / MOST_SHOWN);
        if (nearest[p] >= 0)
          keepLeast(exemplars[cluster], { row: rowAt(nearest[p]), value: distance[nearest[p]] });
        if (beside[p] >= 0)
          keepLeast(border[cluster], { row: rowAt(beside[p]), value: margins[p], rival: rivals[p] });
      }
    },
    /** `order`: for each number by size the output unit. */
    result(order: Order): ShownRows {
      const places = placesOf(order);
      return {
        exemplars: order.map((unit) => exemplars[unit].map(({ row, value }) => ({ row, distance: value }))),
        border: order.map((unit) =>
          border[unit].map(({ row, value, rival }) => ({ row, margin: value, rival: places[rival] })),
        ),
        quantiles: counts.quantiles(order),
      };
    },
  };
}

/**
 * The tree of merges above the clusters of the results, and which of these would split next, without reading rows again: by the
 * statistics of all rows and those of sub-clusters in the sample, or by the links between the sample's rows. `state` has the numbers of the
 * results. Null where clusters are too flat for their evidence.
 */
export async function resultTree(
  run: TrainingRun,
  state: State,
  { T, counts }: Pick<FullPassResult, 'T' | 'counts'>,
): Promise<SavedTree | null> {
  const { name, heights, levels } = run.likelihood;
  // Those without rows have the last numbers.
  const sizes = counts.filter((rows) => rows > 0);
  try {
    const { joins, halves } = await levels(run, state, T, sizes.length);
    const tree = { likelihood: name, measure: heights.measure };
    return savedTree(tree, { sizes, joins }, nextSplits(sizes, halves, heights.order));
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}
