import type { ColumnMap, Transform } from '../../data/transform.ts';
import type { Layout } from '../../model/layout.ts';
import type { Projection } from '../../model/nets/projection.ts';
import { nd } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import { sampleNeighbours } from '../training/graph/neighbour-graph.ts';
import { joined } from '../training/graph/shard-rounds.ts';
import {
  afterColumns,
  type ChoiceInput,
  type columnsOf,
  principalAxes,
} from '../training/preparation/likelihood.ts';
import { publishTransform } from '../training/publish.ts';
import type { DataMoments } from '../training/reading/moments.ts';
import { sampleThreshold } from '../training/sample.ts';
import { sampledCounts } from '../training/sampled-rows.ts';
import { checkPairs } from './limits.ts';

/** Pairs of rows and near ones, from which an encoder learns without a decoder. */

/** Neighbours of each row. */
const NEIGHBOURS = 15;

/** Those that workers have, as states `points` and `pairs`. */
export interface Pairs {
  /** Of each shard. */
  shards: number[];
}

/** The leading principal axes of rows after a column map: the encoder learns from what the sample's rows are along these. */
export async function encoderAxes(
  input: Pick<ChoiceInput, 'config' | 'layout' | 'dispatcher' | 'calculate'>,
  data: DataMoments,
  columns: ReturnType<typeof columnsOf>,
): Promise<Projection> {
  const { weights, bias } = (await principalAxes(input, data, columns, false)).transform;
  return { weights, bias };
}

/** Finds the neighbours of the sample's rows along these axes, and publishes both. UserError if there are too few rows, or too many. */
export async function neighbourPairs(
  { config, layout, dispatcher }: { config: RunConfig; layout: Layout; dispatcher: Dispatcher },
  input: ColumnMap,
  { weights, bias }: Projection,
): Promise<Pairs> {
  const d = bias.length;
  const along: Transform = {
    ...{ before: null, normalize: false, input: layout.dim, dim: d, columns: null, weights, bias },
    ...{ scale: new Float64Array(d).fill(1), offset: new Float64Array(d), fences: null },
  };
  const below = sampleThreshold(config, layout);
  const rows = await sampledCounts(layout, below);
  checkPairs(
    config,
    rows.reduce((a, b) => a + b, 0),
    Math.max(d, NEIGHBOURS),
  );
  publishTransform({ dispatcher, transform: afterColumns(along, input) }, below);
  const { shards, k, found } = await sampleNeighbours(dispatcher, d, { least: rows, most: rows }, NEIGHBOURS);
  const index = joined.int32(found, 'index');
  dispatcher.publish('pairs', { index: nd(index, index.length / k, k) });
  return { shards: shards.map((own) => own * k) };
}
