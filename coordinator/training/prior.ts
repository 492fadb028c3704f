import { UserError } from '../../base/user-error.ts';
import { diagonalOf, rank } from '../../model/linalg.ts';
import { type Niw, niwPrior, priorScale } from '../../model/niw.ts';
import type { RunConfig } from '../config.ts';

/** The prior of a run, given the covariance of its D columns. UserError if that has not full rank, or ν is too small. */
export function priorOf(config: RunConfig, d: number, covariance: Float64Array): Niw {
  if (config.covariance === 'full') {
    const r = rank(covariance, d);
    if (r < d)
      throw new UserError(
        `${config.data}: the covariance of the ${d} columns has rank ${r} only (collinear columns or too few rows); use --transform pca:${r} or --covariance diag`,
      );
  }
  const nu = config.priorNu ?? d + 2;
  if (nu < d + 1) throw new UserError(`--prior-nu ${nu} must be at least D + 1 = ${d + 1}`);
  const dataCovariance = config.covariance === 'diag' ? diagonalOf(covariance, d) : covariance;
  return niwPrior({
    mean: new Float64Array(d),
    kappa: config.priorKappa,
    nu,
    psi: priorScale(config.priorScaleChoice, config.priorScale, dataCovariance, config.covariance),
    covariance: config.covariance,
  });
}
