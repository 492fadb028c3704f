import { type Densities, eStepOf, mostLikely } from './gaussian/estep.ts';
import { argmaxRows, type Layer, layersOf, logits } from './nets/net.ts';
import type { Schedule } from './schedule.ts';
import type { State } from './state.ts';

/** What gives rows, in network coordinates, their clusters: the clustering net, or the mixture. */
export type Classifier = { readonly net: readonly Layer[] } | { readonly mixture: Densities };

/** In more columns K·D² operations a row take too long. */
export const MOST_LABELLED_BY_MIXTURE = 64;

/**
 * Do rows get their labels by the mixture? It is what training has found, and the net, which learns from it, cannot represent each. But a
 * graph has none, many columns take too long, and in the paper it is the net that labels.
 */
export const labelsByMixture = (
  schedule: Schedule['name'],
  { graph, mixture }: Pick<State, 'graph' | 'mixture'>,
) => schedule !== 'paper' && !graph && mixture.d <= MOST_LABELLED_BY_MIXTURE;

/** What labels the rows of a state. NotPositiveDefiniteError where clusters are too flat. */
export const classifierOf = (
  schedule: Schedule['name'],
  state: Pick<State, 'graph' | 'mixture' | 'net'>,
  scale: Float64Array,
): Classifier =>
  labelsByMixture(schedule, state)
    ? { mixture: eStepOf(state.mixture, scale, 'cholesky') }
    : { net: layersOf(state.net) };

/** The cluster of each row, by float64 sums. */
export const classify = (by: Classifier, rows: Float32Array): Int32Array =>
  'mixture' in by ? mostLikely(by.mixture, rows) : argmaxRows(logits(by.net, rows), by.net.at(-1)!.cols);
