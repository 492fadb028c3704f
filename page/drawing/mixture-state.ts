import { diagonalOf } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { StateOf } from './api.ts';

/** If all covariances together have more numbers than this, only their diagonals are sent. */
const MAX_COVARIANCE_NUMBERS = 100_000;

type Model = 'k' | 'weights' | 'means' | 'covariances' | 'covariance' | 'scale';

/** The mixture as in the body of `/api/state`. */
export function modelOf(mixture: Mixture, { scale }: { scale: ArrayLike<number> }): Pick<StateOf, Model> {
  const { k, d, weights, means, covariances, covariance } = mixture;
  const full = covariance === 'full' && k * d * d <= MAX_COVARIANCE_NUMBERS;
  return {
    k,
    weights: [...weights],
    means: means.map((mean) => [...mean]),
    covariances: covariances.map((matrix) => [...(full ? matrix : diagonalOf(matrix, d))]),
    covariance: full ? 'full' : 'diag',
    scale: Array.from(scale),
  };
}
