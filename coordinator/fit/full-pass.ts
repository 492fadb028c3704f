import { createHash } from 'node:crypto';
import { yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { clusterCount, componentOrder, componentsOf, type Groups } from '../../model/gaussian/components.ts';
import { type Layout, unitBlocks } from '../../model/layout.ts';
import type { FarRows } from '../../model/missed.ts';
import { bySize, NOISE, placesOf } from '../../model/order.ts';
import { contingencyCounter } from '../../model/scores.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { bytesOf, type Tensors, take } from '../../proto/tensors.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import { TASKS, type Task, type TaskOf } from '../../tasks/table.ts';
import type { Dispatcher } from '../rounds/dispatcher.ts';
import { unitsOf } from '../rounds/sums.ts';
import { resultCollector } from './full-pass-results.ts';
import type { LabelParts } from './label-parts.ts';
import { NO_FILES, type Output, rowWriter } from './row-writer.ts';
import type { Prepared } from './run-context.ts';

/** Rows per unit: enough to be worth a message, few enough to balance the load. */
const UNIT_ROWS = 1 << 18;
/** Bytes of responsibilities per message. */
const SOFT_BYTES = 16 << 20;
/** Rows of which the silhouette is computed, on average. */
const SILHOUETTE_ROWS = 1000;

/** What a review is given, by component. */
export interface Reviewed {
  T: Float64Array[];
  far: FarRows;
}

/** Some clusters have no rows, or none but outliers: these have to get labels of others. */
export class OutliersAlone extends Error {
  override name = 'OutliersAlone';
  /** The components of the clusters without other rows. */
  readonly components: number[];

  constructor(components: number[]) {
    super('only outliers have the label of a cluster');
    this.components = components;
  }
}

/** How rows are labelled. */
export interface LabellingOptions {
  /** The true class of each row. */
  truth?: Int32Array | null;
  /** The sample with which training ended has the rows whose priority is below this. */
  below?: number;
  /** Workers label by the mixture, not by the net. */
  byMixture?: boolean;
  /** The cluster of each component, as the workers have it; absent: each is one. */
  groups?: Groups;
  /** log of the density of a background, with densities: rows of it get the label −1. */
  noise?: number;
  /** Log densities too. */
  density?: boolean;
  /** Rows are placed on the workers' map too. */
  map?: boolean;
  /** Clusters keep their numbers, and are written as these ids; else they are numbered by size. */
  ids?: readonly number[];
  /** Where workers write what there is of each row, given what is new with all that labels depend on; else it goes to the output. */
  parts?: (key: string) => LabelParts;
  /** How many rows that no cluster explains are kept for `review`. */
  far?: number;
  /** Whether the labels are good: else none are written, and the result is null. */
  review?: (found: Reviewed) => Promise<boolean>;
}

/**
 * The full pass: labels all rows by a classifier of so many `components`, and writes the labels (and responsibilities) to `out` as they arrive. Then
 * the clusters are numbered, and the files get their names. OutliersAlone where that has to be done again without some of the components.
 */
export async function labelAllRows(
  run: Pick<Prepared, 'config' | 'transform' | 'likelihood'> & { dispatcher: Dispatcher },
  layout: Layout,
  components: number,
  out: Output,
  options: LabellingOptions = {},
): Promise<FullPassResult | null> {
  const { transform, likelihood, dispatcher } = run;
  const { soft, covariance, components: withComponents } = run.config;
  const { truth, below = 1, byMixture = false, groups, density = false, map = false } = options;
  const { ids, far = 0, review, noise } = options;
  const k = clusterCount(components, groups);
  /** Labels of workers: those of clusters, then that of noise. */
  const labelled = noise === undefined ? k : k + 1;
  const task: TaskOf<'full-pass'> = {
    task: 'full-pass',
    diagonal: covariance === 'diag',
    soft,
    silhouette: Math.min(1, SILHOUETTE_ROWS / layout.rows),
    far,
    byMixture,
    ...(groups && { clusters: k }),
    ...(noise !== undefined && { noise }),
    ...(withComponents && { components: true }),
    ...(density && { density }),
    ...(map && { map }),
  };
  const isGaussian = likelihood.name === 'gaussian';
  const key = options.parts && keyOf(task, layout, dispatcher.state);
  const parts = key === undefined ? null : options.parts!(key);
  if (key !== undefined) task.parts = { folder: key, gaussian: isGaussian };
  // Parts are of consecutive rows.
  const shards = unitBlocks(layout).map((blocks, shard) =>
    (shard === layout.shards) === (parts !== null) ? blocks : [],
  );
  const most = soft ? Math.min(UNIT_ROWS, Math.ceil(SOFT_BYTES / 4 / k)) : UNIT_ROWS;
  const units = unitsOf(layout, shards, most);
  const placeOf = ({ shard, from }: WorkUnit) => `${shard}/${from}`;
  const places = new Map(units.map((unit, i) => [placeOf(unit), i]));
  const blocksOf = ({ shard, from, to }: WorkUnit) => shards[shard].slice(from, to);
  const rowsOf = (unit: WorkUnit) => {
    const [first, last] = [blocksOf(unit)[0], blocksOf(unit).at(-1)!];
    return [first.start, last.start + last.count] as const;
  };

  const counts = Array<number>(labelled).fill(0);
  const counter = truth && contingencyCounter();
  const collector = resultCollector(layout, {
    ...{ units: units.length, k, labelled, components, far, below },
  });
  const outliers = transform?.fences != null;
  const d = isGaussian ? transform.dim : null;
  const has = { component: withComponents, log_density: density, map, outliers };
  const writer = rowWriter(parts ? NO_FILES : out, layout, k, { soft, has, d, labelled }, (labels, start) => {
    for (const label of labels) counts[label]++;
    counter?.add(labels, truth!.subarray(start, start + labels.length));
  });
  function add(unit: WorkUnit, part: Tensors): void {
    writer.write(blocksOf(unit), part);
    collector.add(places.get(placeOf(unit))!, blocksOf(unit), part);
  }
  /** The results of a unit with what workers have written of its rows. */
  function whole(unit: WorkUnit, results: Tensors): Tensors {
    if (!parts) return results;
    const rows = parts.read(...rowsOf(unit), has, take(results, 'hashes', 'uint8'));
    assertRows(rows, labelled, components);
    return { ...results, ...rows };
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
    const T = collector.T();
    const empty = componentsOf(components, groups).flatMap((own, cluster) =>
      own.every((component) => T[component][0] === 0) ? [{ cluster, own }] : [],
    );
    if (!ids && empty.length < k && empty.some(({ cluster }) => counts[cluster] > 0))
      throw new OutliersAlone(empty.flatMap(({ own }) => own));
    if (review && !(await review({ T, far: collector.far() }))) {
      writer.abort();
      return null;
    }
    const sizes = counts.slice(0, k);
    const clusters = ids ? [...sizes.keys()] : bySize(sizes);
    const inNoise = noise === undefined ? [] : [k];
    const order = ids
      ? [...Array(components).keys()]
      : componentOrder(clusters, components, groups, (component) => T[component][0]);
    const numbers = {
      labels: [
        ...Array.from(placesOf(clusters), (place) => ids?.[place] ?? place),
        ...inNoise.map(() => NOISE),
      ],
      component: [...placesOf(order)],
    };
    await writer.finish(clusters, numbers);
    await parts?.finish(numbers);
    return {
      ...collector.result(clusters),
      order,
      T: order.map((component) => T[component]),
      counts: clusters.map((cluster) => counts[cluster]),
      table: counter ? counter.table([...clusters, ...inNoise]) : null,
      unexplained: writer.unexplained(),
      noise: counts[k] ?? 0,
      outliers: layout.rows - collector.noise() - T.reduce((sum, [rows]) => sum + rows, 0),
    };
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** What is new with all that labels depend on. */
function keyOf(task: Task, layout: Layout, state: Dispatcher['state']): string {
  const hash = createHash('sha256').update(JSON.stringify([task, layout]));
  for (const name of TASKS.statesOf(task))
    for (const [tensor, { shape, data }] of Object.entries(state(name)!).sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(JSON.stringify([name, tensor, shape])).update(bytesOf(data));
  return hash.digest('hex').slice(0, 16);
}

/** Throws unless the columns of some rows are such as a worker returns. */
function assertRows(rows: Tensors, k: number, components: number): void {
  const labels = rows.labels.data;
  const { data: distance } = rows.distance;
  if (
    labels.some((label) => !(label >= 0 && label < k)) ||
    rows.component?.data.some((component) => !(component >= NOISE && component < components)) ||
    distance.some((value) => !(value >= 0))
  )
    throw new UserError('a part of the labels has values that are none');
}
