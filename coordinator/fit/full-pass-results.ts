import { concat, splitEvenly } from '../../model/arrays.ts';
import { type Candidate, distanceCounts, keepLeast } from '../../model/description/distances.ts';
import { nextSplits } from '../../model/hierarchy/dendrogram.ts';
import { type Block, blockCount, type Layout, shardBlocks } from '../../model/layout.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { FarRows } from '../../model/missed.ts';
import { type Order, placesOf } from '../../model/order.ts';
import { priority } from '../../model/random.ts';
import type { State } from '../../model/state.ts';
import { treeAccumulator } from '../../model/tree.ts';
import { MOST_SHOWN } from '../../model/widths.ts';
import { type Nd, type Tensors, take } from '../../proto/tensors.ts';
import type { FullPassResult, ShownRows } from '../../run/descriptions.ts';
import { type SavedTree, savedTree } from '../../run/tree.ts';
import { sumOfNodes } from '../rounds/sums.ts';
import type { TrainingRun } from './run-context.ts';

/** What a full pass finds beside the labels, collected from its units in whatever order they come: by output unit until `result` is given their numbers. */

/** What is collected. */
interface Wanted {
  /** Units of work, in whose order results are summed. */
  units: number;
  /** Clusters, and components of the workers' classifier. */
  k: number;
  components: number;
  /** The labels that there are, of which those from k on are noise. */
  labelled: number;
  /** How many rows that no cluster explains are kept. */
  far: number;
  /** Outliers are listed whose priority is below this. */
  below: number;
}

/** By unit of work: its number, the blocks of its rows, and what a worker has found in them. */
export function resultCollector(layout: Layout, { units, k, labelled, components, far, below }: Wanted) {
  const priorityOf = priority(layout.seed);
  const shardOf = shardOfRow(layout);
  const sums = treeAccumulator();
  const seen = Array<Tensors>(units);
  const shown = clusterRowsCollector(k);
  const farRows = farRowsCollector(far, priorityOf);
  let noise = 0;
  const sampledOutliers = Array.from({ length: layout.shards }, (): number[] => []);
  return {
    add(unit: number, blocks: readonly Block[], part: Tensors): void {
      if (part.outliers) {
        const flags = take(part, 'outliers', 'uint8');
        let at = 0;
        for (const { start, count } of blocks)
          for (let row = start; row < start + count; row++)
            if (flags[at++] && priorityOf(row) < below) sampledOutliers[shardOf(start)].push(row);
      }
      const labels = part.labels.data;
      for (let i = 0; i < labels.length; i++) if (labels[i] >= k && !part.outliers?.data[i]) noise++;
      // Copies: they are overwritten, the part may have yet to be saved, and a view would keep all that came with it.
      const own = {
        T: take(part, 'T', 'float64').slice(),
        columns: take(part, 'columns', 'float64').slice(),
      };
      sums.add({ from: unit, to: unit + 1, sums: own });
      shown.add(part, rowAt(blocks));
      if (far > 0) farRows.add(part, rowAt(blocks));
      seen[unit] = { seen: copied(part.seen), seenLabels: copied(part.seenLabels) };
    },
    /** Statistics of each component over all rows but outliers. */
    T: () => splitEvenly(sumOfNodes(sums.nodes(), 'T'), components),
    far: farRows.result,
    /** Rows of noise that are no outliers. */
    noise: () => noise,
    result(order: Order) {
      const columns = splitEvenly(sumOfNodes(sums.nodes(), 'columns'), labelled + 1);
      return {
        sampled: sampledRows(seen),
        sampledOutliers,
        columns: { sums: order.map((unit) => columns[unit]), squares: columns[labelled] },
        shown: shown.result(order),
      };
    },
  };
}

const copied = ({ shape, data }: Nd): Nd => ({ shape, data: data.slice() });

/** The shard of the block with a row. */
function shardOfRow(layout: Layout): (row: number) => number {
  const shards = new Uint16Array(blockCount(layout));
  for (const [shard, blocks] of shardBlocks(layout).entries())
    for (const { index } of blocks) shards[index] = shard;
  return (row) => shards[Math.floor(row / layout.blockRows)];
}

/** The row at each place in these blocks. */
function rowAt(blocks: readonly Block[]): (place: number) => number {
  return (place) => {
    let before = 0;
    for (const { start, count } of blocks) {
      if (place < before + count) return start + place - before;
      before += count;
    }
    throw new RangeError(`there is no place ${place}`);
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
      const components = take(part, 'farComponents', 'int32');
      const rows = take(part, 'farRows', 'float32');
      const d = rows.length / places.length;
      all += take(part, 'allFar', 'int32')[0];
      for (const [i, place] of places.entries())
        kept.push({
          priority: priorityOf(rowAt(place)),
          label: components[i],
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
      for (let i = 0; i < labels.length; i++)
        if (!flags?.[i] && labels[i] < k) counts.add(labels[i], distance[i]);
      const nearest = take(part, 'exemplars', 'int32');
      const beside = take(part, 'border', 'int32');
      const rivals = take(part, 'rival', 'int32');
      const margins = take(part, 'margin', 'float32');
      for (let p = 0; p < nearest.length; p++) {
        const cluster = Math.floor(p / MOST_SHOWN);
        if (cluster >= k) break;
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
    const { joins, halves, components } = await levels(run, state, T, sizes.length);
    const tree = { likelihood: name, measure: heights.measure };
    return savedTree(tree, { sizes, joins }, nextSplits(sizes, halves, heights.order), components);
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}
