import { UserError } from '../../../base/user-error.ts';
import { shareInGaussians } from '../../../model/gaussian/gaussian-clusters.ts';
import { priorOfClusters } from '../../../model/gaussian/niw.ts';
import type { PriorOf } from '../../../model/gaussian/soft-split.ts';
import { moveToMean } from '../../../model/linalg.ts';
import { MOST_LABELLED_BY_MIXTURE } from '../../../model/state.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import type { RunEvent } from '../../../run/events.ts';
import { shardSizes } from '../../rounds/sums.ts';
import { isGraph } from '../reading/moments.ts';
import type { TrainingRun } from '../run-context.ts';
import { joined, shardResults } from '../shard-results.ts';
import { type PrepareInput, type Preparing, prepare } from './prepare.ts';

/**
 * The second look at a likelihood that was chosen by the columns: clusters that differ by their covariances more than by their means have
 * no gaps between them, and so no neighbour graph that tells them apart.
 */

/** Partitions that agree so well have found the clusters. */
const GOOD_AGREEMENT = 0.9;
/** The share of rows that Gaussian clusters have at least: of curved, skewed and real clusters it is 0 to .4, of Gaussian ones .5 to 1. */
const LEAST_SHARE = 0.5;
/** Rows on which a mixture is tried. */
const ROWS = 4000;

/**
 * The run as `prepare` has it; but where it has the graph by itself, in up to 64 columns, and its partitions are not all but the same, with a
 * mixture of Gaussians if that finds clusters which are Gaussian. `known`: what an earlier session has decided.
 */
export async function prepareByClusters(
  input: PrepareInput,
  dispatcher: Preparing,
  data: DataMoments,
  known: TrainingRun['likelihood']['name'] | null,
): Promise<TrainingRun> {
  const { config, layout } = input;
  const isOpen = config.likelihood === 'auto' && config.resolution === null && !isGraph(config, layout.dim);
  if (!isOpen || layout.dim > MOST_LABELLED_BY_MIXTURE || known === 'graph')
    return prepare(input, dispatcher, data);
  const { publish, round, emit, warn } = dispatcher;
  const messages: string[] = [];
  const silent = { publish, round, emit, warn: (message: string) => messages.push(message) };
  const first = await prepare(input, silent, data);
  const said = (run: TrainingRun) => {
    for (const message of messages) warn(message);
    return run;
  };
  const mixture = { ...input, isMixture: true };
  if (first.likelihood.name !== 'graph') return said(first);
  if (known === 'gaussian') return prepare(mixture, dispatcher, data);
  const events: RunEvent[] = [];
  const start = await first.likelihood.start({ ...first, emit: (event) => events.push(event) });
  const agreement = start.graph?.stability ?? null;
  if (agreement !== null && agreement >= GOOD_AGREEMENT) {
    const begin = async ({ emit }: TrainingRun) => {
      for (const event of events) emit(event);
      return start;
    };
    return said({ ...first, likelihood: { ...first.likelihood, start: begin } });
  }
  const partitions =
    agreement === null
      ? 'no partition of the neighbour graph can be reproduced'
      : `partitions of the neighbour graph agree by ${agreement.toFixed(2)}`;
  emit({ type: 'likelihood', likelihood: 'graph', why: `${partitions}; looking for Gaussian clusters …` });
  const share = await gaussianShare(mixture, dispatcher, data);
  if (share < LEAST_SHARE) return prepare(input, dispatcher, data);
  const why = `${partitions}, and ${Math.floor(100 * share)} % of the rows are in clusters that are Gaussian`;
  return { ...(await prepare(mixture, dispatcher, data)), why };
}

/** The share of the sample's rows that Gaussian clusters have; 0 where a mixture does not suit the data. */
async function gaussianShare(input: PrepareInput, dispatcher: Preparing, data: DataMoments): Promise<number> {
  const run = await prepare({ ...input, isQuiet: true }, dispatcher, data).catch((error: unknown) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  if (!run) return 0;
  const { config, covariance, d, layout, prior, sample, seed } = run;
  const shards = shardSizes(layout);
  const every = Math.ceil(sample.rows / ROWS);
  const rows = Float64Array.from(
    joined.float32(await shardResults(dispatcher, shards, { task: 'sample-rows', every }), 'rows'),
  );
  moveToMean(rows, d);
  const isLearned = config.priorScaleChoice === 'learned';
  const priorOf: PriorOf = (T) =>
    isLearned && T.length ? priorOfClusters(prior, config.priorScale, T, covariance) : prior;
  return shareInGaussians(rows, priorOf, config.alpha, seed);
}
