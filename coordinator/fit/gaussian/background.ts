import { type Estimate, withBackground } from '../../../model/gaussian/background.ts';
import { type Niw, pointEstimate } from '../../../model/gaussian/niw.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { generator } from '../../../model/random.ts';
import { labelsByMixture, ofUnits, type State } from '../../../model/state.ts';
import { covarianceOf, mean, scaleStatistics } from '../../../model/statistics.ts';
import type { RunConfig } from '../../../run/config.ts';
import { shardSizes } from '../../rounds/sums.ts';
import type { TrainingRun } from '../run-context.ts';
import { joined, shardResults } from '../shard-results.ts';

/** Once training has ended, with `--noise`: is there a background of rows in no cluster? By rows of the sample that the workers send. */

/** Rows that are sent: EM takes some fifty passes over them here. */
const MOST_ROWS = 20_000;

/** Can a background be looked for? Where rows go to clusters by a mixture of continuous columns. */
const canHaveNoise = (config: Pick<RunConfig, 'schedule'>, state: Pick<State, 'graph' | 'mixture'>) =>
  labelsByMixture(config.schedule, state) && !state.mixture.kinds;

/** Are components joined for `--clusters` once training has ended? Before, those of noise would be joined to clusters. */
export const isJoinedLast = (
  { config }: { config: Pick<RunConfig, 'noise' | 'schedule'> },
  state: Pick<State, 'graph' | 'mixture'>,
): boolean => config.noise && canHaveNoise(config, state);

/** Rows for each column below which a component needs the prior. */
const FEW_ROWS = 3;
/** What the variance of all rows adds to those of a component, in rows. */
const RIDGE = 1e-3;

/** Without the prior, where rows are enough: it is learned from components that noise has widened. */
function estimateOf({ covariance: all, d, config }: TrainingRun, prior: Niw, every: number): Estimate {
  const form = config.covariance;
  const variances = diagonalOf(all, d);
  return (T) => {
    if (T[0] < FEW_ROWS * (d + 1)) return pointEstimate(prior, scaleStatistics(T, every));
    const own = covarianceOf(T, d, form, T[0] + 1);
    for (let i = 0; i < d; i++) own[form === 'full' ? i * (d + 1) : i] += (RIDGE * variances[i]) / T[0];
    return { mean: mean(T, d), covariance: own };
  };
}

/** The state with a background, which takes the place of some of its components, if `--noise` is on and there is one. */
export async function withNoiseApart(run: TrainingRun, state: State): Promise<State> {
  const { config, layout, dispatcher, seed } = run;
  const { mixture, prior, sample } = state;
  if (!config.noise || !canHaveNoise(config, state) || mixture.k < 3) return state;
  const every = Math.ceil(sample.rows / MOST_ROWS);
  const results = await shardResults(dispatcher, shardSizes(layout), { task: 'sample-rows', every });
  const rows = Float64Array.from(joined.float32(results, 'rows'));
  const found = withBackground(rows, mixture, estimateOf(run, prior, every), generator(seed, 'background'));
  if (!found) return state;
  const { kept, background } = found;
  return { ...ofUnits(state, kept), mixture: found.mixture, background };
}
