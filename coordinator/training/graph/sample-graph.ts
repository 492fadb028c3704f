import type { DegreeGraph } from '../../../model/graph/weights.ts';
import type { Sample } from '../../../model/state.ts';

/** The sample rows of each shard. */
export type ShardRows = readonly number[];

/** The neighbour graph of the sample (docs/algorithm.md, section 11), which the workers have as states `points` and `graph`. */
export interface SampleGraph extends DegreeGraph {
  readonly shards: ShardRows;
  /** Rows of the sample. */
  readonly n: number;
  /** Their features, [n,D]. */
  readonly rows: Float32Array;
  /** Neighbours of a row, of which edges are made. */
  readonly neighbours: number;
  /** Rows whose features another one has too. */
  readonly copies: number;
  /** The intrinsic dimension of the features, by the two nearest neighbours. */
  readonly dimension: number;
}

/** The graph of a sample, which is made when it is first asked for: the sample may grow, or be that of a checkpoint. */
export interface GraphSource {
  of(sample: Pick<Sample, 'below'>): Promise<SampleGraph>;
}
