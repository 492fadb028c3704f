/** The Normal-Inverse-Wishart prior, its point estimates and marginal likelihood (docs/algorithm.md, section 3). */
import { gammaln } from 'simple-statistics';
import { diagonalOf, logDet, minus, NotPositiveDefiniteError, squaredNorm, whitener } from '../linalg.ts';
import { type Covariance, mean, scaleStatistics, scatter } from '../statistics.ts';
import {
  blockAt,
  type ColumnKinds,
  discreteMarginal,
  entriesAt,
  spikeStatistics,
  statisticsAt,
  varianceBesideSpikes,
  withDiscrete,
} from './columns.ts';

/** NIW(m₀, κ, ν, Ψ); with `diag` covariance the product of one-dimensional priors, one per dimension. */
export interface Niw {
  readonly d: number;
  readonly covariance: Covariance;
  /** m₀. */
  readonly mean: Float64Array;
  readonly kappa: number;
  readonly nu: number;
  /** Ψ: D×D when full, its diagonal (D) when diag. */
  readonly psi: Float64Array;
  /** Of the Gaussian columns. */
  readonly logDetPsi: number;
  /** Which estimate of a cluster's covariance the posterior yields. */
  readonly estimate: PointEstimate;
  /** κ is not learned, but stays the least. */
  readonly leastKappa?: boolean;
  /** 1 for each column in which all clusters have the mean m₀; none if it is not given. */
  readonly alike?: Uint8Array;
  /** Where not all columns are Gaussian. m₀ and Ψ of the others are only what distances are measured by. */
  readonly kinds?: ColumnKinds;
}

export const POINT_ESTIMATES = ['mode', 'mean'] as const;
export type PointEstimate = (typeof POINT_ESTIMATES)[number];

/** How a Ψ that stays fixed is chosen from the data: see `priorScale`. */
export type FixedScaleChoice = 'data-cov' | 'isotropic' | 'data-std';

/** κ where nothing is known of how far means are from m₀, in rows: that of the authors' code. */
export const LEAST_KAPPA = 1e-4;
/** Pseudo-count of coordinates of means that are as far from m₀ as that: two clusters alone tell little of how far apart all are. */
const PSEUDO_COORDINATES = 5;

/** ε: the share of the data's covariance in a learned Ψ. */
const SCALE_FLOOR = 1e-4;

/** What a prior is made of; the estimate is the posterior mode unless said otherwise. */
type NiwParameters = Omit<Niw, 'd' | 'logDetPsi' | 'estimate'> & Partial<Pick<Niw, 'estimate'>>;

/** Validates a prior and adds what follows from it. Throws an Error when κ ≤ 0, ν < D + 1 or Ψ is not positive definite. */
export function niwPrior(parameters: NiwParameters): Niw {
  const { mean: m0, kappa, nu, psi, covariance, kinds } = parameters;
  const d = m0.length;
  const size = covariance === 'full' ? d * d : d;
  if (psi.length !== size) throw new Error(`the prior's Psi has ${psi.length} numbers, expected ${size}`);
  if (!(kappa > 0)) throw new Error(`the prior's kappa is ${kappa}, must be above 0`);
  if (!(nu >= d + 1)) throw new Error(`the prior's nu is ${nu}, must be at least D + 1 = ${d + 1}`);
  const own = kinds ? blockAt(psi, d, kinds.continuous, covariance) : psi;
  const logDetPsi = scaleLogDet(own, kinds ? kinds.continuous.length : d, covariance);
  return { estimate: 'mode', ...parameters, d, logDetPsi };
}

/**
 * Ψ of a prior: c·Cov(X) (`data-cov`), c·I (`isotropic`) or c·diag(std(X)) (`data-std`). Ψ and the covariance of the data
 * are D×D when full, their diagonals (D) when diag.
 */
export function priorScale(
  choice: FixedScaleChoice,
  c: number,
  dataCovariance: Float64Array,
  covariance: Covariance,
): Float64Array {
  if (choice === 'data-cov') return dataCovariance.map((value) => c * value);
  const d = covariance === 'full' ? Math.sqrt(dataCovariance.length) : dataCovariance.length;
  const stride = covariance === 'full' ? d + 1 : 1;
  const psi = new Float64Array(dataCovariance.length);
  for (let i = 0, p = 0; i < d; i++, p += stride)
    psi[p] = choice === 'isotropic' ? c : c * Math.sqrt(dataCovariance[p]);
  return psi;
}

/**
 * Ψ that the clusters share and that is learned from them: c·(ν − D − 1)·(W + ε·Cov(X)), with W = Σ_k π_k Σ_k. Its prior
 * mean of a covariance is so about that of the clusters. ε keeps a direction in which clusters have no extent from
 * shrinking with every M-step. All covariances are D×D when full, their diagonals (D) when diag.
 */
export function learnedScale(
  c: number,
  nu: number,
  d: number,
  weights: ArrayLike<number>,
  covariances: Float64Array[],
  dataCovariance: Float64Array,
): Float64Array {
  const factor = c * (nu - d - 1);
  const within = withinClusters(weights, covariances);
  return dataCovariance.map((overall, p) => factor * (within[p] + SCALE_FLOOR * overall));
}

/** W = Σ_k π_k Σ_k. */
export function withinClusters(weights: ArrayLike<number>, covariances: Float64Array[]): Float64Array {
  const within = new Float64Array(covariances[0].length);
  for (const [k, own] of covariances.entries())
    for (let p = 0; p < own.length; p++) within[p] += weights[k] * own[p];
  return within;
}

/** log Γ_D(a), the logarithm of the multivariate gamma function; a > (D − 1)/2. */
export function multivariateGammaLn(a: number, d: number): number {
  let sum = ((d * (d - 1)) / 4) * Math.log(Math.PI);
  for (let i = 0; i < d; i++) sum += gammaln(a - i / 2);
  return sum;
}

/**
 * Mean and covariance of a cluster given its statistics T (docs/algorithm.md, section 3): μ = (s + κm₀)/(n + κ), and Σ = Ψ*
 * / (ν + n + D + 2), the posterior mode, or Ψ* / (ν + n − D − 1), the posterior mean. `covariance` is D×D when full, its
 * diagonal (D) when diag.
 */
export function pointEstimate(prior: Niw, T: Float64Array): { mean: Float64Array; covariance: Float64Array } {
  const { d, kappa, kinds, alike } = prior;
  if (kinds) {
    const continuous = statisticsAt(T, d, kinds.continuous, prior.covariance);
    const ofSpikes = kinds.spikes.map((spike) =>
      pointEstimate(priorAt(prior, [spike.column]), spikeStatistics(spike, kinds, T, d, prior.covariance)),
    );
    const own = pointEstimate(gaussianPart(prior, kinds), continuous);
    return withDiscrete(kinds, T, own, ofSpikes, prior.covariance);
  }
  const n = T[0];
  const dimensions = prior.covariance === 'full' ? d : 1;
  const divisor = degrees(prior) + n + (prior.estimate === 'mode' ? dimensions + 2 : -dimensions - 1);
  const mode = new Float64Array(d);
  for (let i = 0; i < d; i++)
    mode[i] = alike?.[i] ? prior.mean[i] : (T[1 + i] + kappa * prior.mean[i]) / (n + kappa);
  const covariance = posteriorScale(prior, T);
  for (let p = 0; p < covariance.length; p++) covariance[p] /= divisor;
  return { mean: mode, covariance };
}

/**
 * log p(T), the marginal likelihood of the rows that T sums up, with (μ, Σ) integrated out, in nats; 0 for n = 0
 * (docs/algorithm.md, section 3).
 */
export function logMarginal(prior: Niw, T: Float64Array): number {
  const { d, covariance, kappa, logDetPsi, kinds } = prior;
  const n = T[0];
  if (n === 0) return 0;
  if (kinds) {
    const continuous = statisticsAt(T, d, kinds.continuous, covariance);
    return kinds.spikes.reduce(
      (sum, spike) =>
        sum + logMarginal(priorAt(prior, [spike.column]), spikeStatistics(spike, kinds, T, d, covariance)),
      logMarginal(gaussianPart(prior, kinds), continuous) + discreteMarginal(kinds, T),
    );
  }
  const nu = degrees(prior);
  const logGamma = (a: number) => (covariance === 'full' ? multivariateGammaLn(a, d) : d * gammaln(a));
  return (
    -((n * d) / 2) * Math.log(Math.PI) +
    (logGamma((nu + n) / 2) - logGamma(nu / 2)) +
    (nu / 2) * logDetPsi -
    ((nu + n) / 2) * scaleLogDet(posteriorScale(prior, T), d, covariance) -
    ((d - alikeCount(prior)) / 2) * Math.log1p(n / kappa)
  );
}

/** The prior of the Gaussian columns alone: the marginal of an inverse Wishart has as many degrees of freedom fewer as columns. */
export const gaussianPart = (prior: Niw, { continuous }: ColumnKinds): Niw =>
  priorAt(prior, continuous, prior.logDetPsi);

/** The same of the columns at these places. */
export function priorAt(prior: Niw, places: readonly number[], logDetPsi?: number): Niw {
  const { kinds: _, d, covariance, ...rest } = prior;
  const psi = blockAt(prior.psi, d, places, covariance);
  return {
    ...rest,
    ...{
      covariance,
      psi,
      d: places.length,
      logDetPsi: logDetPsi ?? scaleLogDet(psi, places.length, covariance),
    },
    mean: entriesAt(prior.mean, d, places),
    nu: prior.nu - d + places.length,
  };
}

/** The degrees of freedom: ν when full, ν − D + 1 for each dimension when diag. */
function degrees(prior: Niw): number {
  return prior.covariance === 'full' ? prior.nu : prior.nu - prior.d + 1;
}

/** Ψ* = Ψ + (S − n·x̄x̄ᵀ) + κn/(κ+n)·(x̄−m₀)(x̄−m₀)ᵀ. */
function posteriorScale(prior: Niw, T: Float64Array): Float64Array {
  const { d, covariance, kappa, psi } = prior;
  const offset = mean(T, d);
  const root = Math.sqrt((kappa * T[0]) / (kappa + T[0]));
  for (let i = 0; i < d; i++)
    offset[i] = (offset[i] - prior.mean[i]) * (prior.alike?.[i] ? Math.sqrt(T[0]) : root);
  const out = scatter(T, d, covariance);
  for (let i = 0; i < d; i++) {
    if (covariance === 'diag') out[i] += psi[i] + offset[i] * offset[i];
    else for (let j = 0; j < d; j++) out[i * d + j] += psi[i * d + j] + offset[i] * offset[j];
  }
  return out;
}

const alikeCount = ({ alike }: Niw) => alike?.reduce((sum, is) => sum + is, 0) ?? 0;

function scaleLogDet(psi: Float64Array, d: number, covariance: Covariance): number {
  if (covariance === 'full') return logDet(psi, d);
  let sum = 0;
  for (let i = 0; i < d; i++) {
    if (!(psi[i] > 0 && psi[i] < Infinity))
      throw new NotPositiveDefiniteError(
        `entry ${i} of a diagonal scale matrix is ${psi[i]}, must be positive and finite`,
      );
    sum += Math.log(psi[i]);
  }
  return sum;
}

/** A mixture's clusters. */
interface Clusters {
  weights: ArrayLike<number>;
  means: Float64Array[];
  covariances: Float64Array[];
}

/**
 * A prior learned from clusters (empirical Bayes): Ψ as above, and κ, by which their means are as far from m₀ as the prior expects:
 * Σ_k (μ_k − m₀)ᵀW⁻¹(μ_k − m₀) = (K − 1)·D/κ. For one cluster κ is the least; it is at most 1, so that each number of a mean costs at least
 * ½·log n, as by BIC. `covariance`: that of all rows.
 */
export function learnedPrior(
  prior: Niw,
  c: number,
  { weights, means, covariances }: Clusters,
  covariance: Float64Array,
): Niw {
  const { d, nu } = prior;
  const dataCovariance = prior.covariance === 'diag' ? diagonalOf(covariance, d) : covariance;
  const psi = learnedScale(c, nu, d, weights, covariances, dataCovariance);
  const places = (prior.kinds?.continuous ?? [...Array(d).keys()]).filter((column) => !prior.alike?.[column]);
  const inverse = whitener(blockAt(psi, d, places, prior.covariance), places.length, prior.covariance);
  let apart = 0;
  for (const mean of means)
    apart += squaredNorm(inverse, entriesAt(minus(mean, prior.mean), d, places)) * c * (nu - d - 1);
  const coordinates = (means.length - 1) * places.length;
  const kappa = apart > 0 ? Math.max(LEAST_KAPPA, Math.min(1, coordinates / apart)) : 1;
  const known = prior.leastKappa ? 0 : coordinates / (coordinates + PSEUDO_COORDINATES);
  return niwPrior({ ...prior, psi, kappa: kappa ** known * LEAST_KAPPA ** (1 - known) });
}

/** From so many columns on a covariance has more numbers, 136, than a small cluster has rows. */
const LEAST_COLUMNS_OF_NU = 16;
/** Values of v from which the best is taken, as multiples of D. */
const FREEDOMS = [1, 2, 4, 8, 16, 32, 64];

/** Is ν learned too, that is how alike the clusters' covariances are? (Not tried where some columns are not continuous.) */
export const learnsNu = ({ d, covariance, kinds }: Pick<Niw, 'd' | 'covariance' | 'kinds'>): boolean =>
  covariance === 'full' && !kinds && d >= LEAST_COLUMNS_OF_NU;

/**
 * The prior learned from clusters, given by their statistics. In many columns ν is that under which they have most
 * evidence: clusters whose covariances are alike share them; and of the columns `among`, those whose means tell clusters apart by less
 * than they cost have that of all rows. `zeta` tempers the statistics.
 */
export function priorOfClusters(
  prior: Niw,
  c: number,
  clusters: Float64Array[],
  covariance: Float64Array,
  zeta = 1,
  among = prior.alike,
): Niw {
  const { d } = prior;
  const filled = clusters.filter((T) => T[0] > 0);
  const n = filled.reduce((sum, T) => sum + T[0], 0);
  const own: Clusters = {
    weights: filled.map((T) => T[0] / n),
    means: filled.map((T) => mean(T, d)),
    covariances: filled.map((T) => {
      const spread = scatter(T, d, prior.covariance).map((value) => value / T[0]);
      return prior.kinds ? varianceBesideSpikes(prior.kinds, T, spread, d, prior.covariance) : spread;
    }),
  };
  if (!learnsNu(prior)) return learnedPrior(prior, c, own, covariance);
  const alike = among && alikeMeans(own, zeta * n, prior.mean, among);
  const withNu = (nu: number) => learnedPrior({ ...prior, nu, alike }, c, own, covariance);
  const tempered = filled.map((T) => scaleStatistics(T, zeta));
  let best = { prior, evidence: -Infinity };
  for (const freedom of FREEDOMS) {
    const learned = withNu(d + 1 + freedom * d);
    const evidence = tempered.reduce((sum, T) => sum + logMarginal(learned, T), 0);
    // It has a single maximum.
    if (evidence <= best.evidence) break;
    best = { prior: learned, evidence };
  }
  return best.prior;
}

/** Fewer clusters say little of which columns tell clusters apart. */
const FEWEST_CLUSTERS = 3;

/** Of these columns, those whose means tell clusters apart by less than they cost by BIC. */
function alikeMeans(
  { weights, means, covariances }: Clusters,
  n: number,
  m0: Float64Array,
  among: Uint8Array,
): Uint8Array | undefined {
  const d = m0.length;
  if (means.length < FEWEST_CLUSTERS) return undefined;
  const within = diagonalOf(withinClusters(weights, covariances), d);
  const needed = (means.length - 1) * Math.log(n);
  const alike = among.map((is, column) => {
    const apart = means.reduce((sum, own, k) => sum + n * weights[k] * (own[column] - m0[column]) ** 2, 0);
    return is && apart < needed * within[column] ? 1 : 0;
  });
  return alike.some((is) => is) && !alike.every((is) => is) ? alike : undefined;
}
