import { isPca } from '../../../data/transform.ts';
import type { Covariance } from '../../../model/statistics.ts';
import type { RunConfig } from '../../config.ts';

/** Up to so many columns, a Gaussian for each cluster is well determined by the default sample. */
export const FEW_COLUMNS = 32;
/** The covariance of more columns is that of a sketch. */
export const MOST_EXACT = 2048;

/** Is the transform, and with `auto` the likelihood, chosen by the sample once it is read (training/preparation/likelihood.ts)? */
export function isUndecided(
  { likelihood, transform }: Pick<RunConfig, 'likelihood' | 'transform'>,
  dim: number,
): boolean {
  return likelihood !== 'gaussian' && transform === 'auto' && dim > FEW_COLUMNS;
}

/** In so few dimensions clusters are blobs, which the graph takes apart: of six in two dimensions, it finds 9, 10 or none. */
const FEW_NUMBERS = 4;

/** Does the run have the graph likelihood because it clusters latent vectors, of `dim` numbers? */
export const isOfCodes = (
  { likelihood, encoder }: Pick<RunConfig, 'likelihood' | 'encoder'>,
  dim: number,
): boolean => likelihood === 'auto' && encoder !== 'none' && dim > FEW_NUMBERS;

type Choosing = Pick<RunConfig, 'likelihood' | 'transform' | 'encoder'>;

/** Has the run the graph likelihood whatever its rows are? */
export const isGraph = (config: Choosing, dim: number): boolean =>
  config.likelihood === 'graph' || isOfCodes(config, dim);

/** May the run have the graph likelihood? */
export const mayBeGraph = (config: Choosing, dim: number): boolean =>
  isGraph(config, dim) || isUndecided(config, dim);

/** The covariance of the raw columns that a run needs. That of many columns is made of the sample instead; a graph needs none. */
export function momentsCovariance(config: RunConfig, dim: number): Covariance {
  if (isPca(config.transform)) return 'full';
  return config.covariance === 'diag' || mayBeGraph(config, dim) ? 'diag' : 'full';
}
