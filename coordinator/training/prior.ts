import { UserError } from '../../base/user-error.ts';
import { diagonalOf, rank } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import { learnedScale, type Niw, niwPrior, priorScale } from '../../model/niw.ts';
import type { RunConfig } from '../config.ts';

/** Pseudo-count κ of the prior mean, in rows. */
const KAPPA = 1e-4;

type PriorConfig = Pick<RunConfig, 'data' | 'covariance' | 'priorScaleChoice' | 'priorScale'>;

/**
 * The prior with which a run begins, given the covariance of its D columns: a learned one as though all rows were one cluster.
 * UserError if the covariance has not full rank.
 */
export function priorOf(config: PriorConfig, d: number, covariance: Float64Array): Niw {
  if (config.covariance === 'full') {
    const r = rank(covariance, d);
    if (r < d)
      throw new UserError(
        `${config.data}: the covariance of the ${d} columns has rank ${r} only (collinear columns or too few rows); use --transform pca:${r} or --covariance diag`,
      );
  }
  const { priorScaleChoice: choice, priorScale: c } = config;
  const nu = choice === 'learned' ? 2 * d + 1 : d + 2;
  const dataCovariance = config.covariance === 'diag' ? diagonalOf(covariance, d) : covariance;
  return niwPrior({
    mean: new Float64Array(d),
    kappa: KAPPA,
    nu,
    psi:
      choice === 'learned'
        ? learnedScale(c, nu, d, [1], [dataCovariance], dataCovariance)
        : priorScale(choice, c, dataCovariance, config.covariance),
    covariance: config.covariance,
    estimate: choice === 'learned' ? 'mean' : 'mode',
  });
}

/** A learned prior with Ψ from the clusters of `mixture`; `covariance`: that of all rows. */
export function learnedPrior(prior: Niw, c: number, mixture: Mixture, covariance: Float64Array): Niw {
  const { weights, covariances } = mixture;
  const dataCovariance = prior.covariance === 'diag' ? diagonalOf(covariance, prior.d) : covariance;
  return niwPrior({
    ...prior,
    psi: learnedScale(c, prior.nu, prior.d, weights, covariances, dataCovariance),
  });
}
