/** How many principal axes of a covariance carry structure, and how many only noise. */

/** Above the edge of the noise's spectrum by this factor, an eigenvalue is no fluctuation of it, as real noise is not quite white. */
const MARGIN = 1.05;
/** Nor is one above this quantile, the 99.9 %, of the Tracy–Widom distribution (of real matrices). */
const QUANTILE = 3.2724;
/** Axes that together have less than this share of the variance are noise, whatever its shape. */
const NEGLIGIBLE_SHARE = 0.02;

/**
 * The number of signal axes: the first q such that the others could be noise, or have next to no variance together. One axis after
 * the other is tested as by Kritchman & Nadler (Chemometrics and Intelligent Laboratory Systems 94, 2008). `values.length` if none of
 * these leading eigenvalues is where noise begins.
 *
 * What is left of n rows of D numbers, once their mean and q axes are taken away, spans n − 1 − q dimensions of rows and D − q of
 * columns: without this correction, a few rows leave so little variance for the others that these seem to stand out.
 *
 * @param values leading eigenvalues, descending
 * @param trace the sum of all
 * @param d how many there are in all
 * @param n rows of which it is the covariance
 */
export function signalAxes(values: ArrayLike<number>, trace: number, d: number, n: number): number {
  let rest = trace;
  for (let q = 0; q < values.length; q++) {
    if (rest <= NEGLIGIBLE_SHARE * trace) return q;
    if (values[q] <= largestOfNoise(n - 1 - q, d - q) * rest) return q;
    rest -= values[q];
  }
  return values.length;
}

/**
 * The largest share of the variance of n × D numbers of white noise that is along one axis: their largest squared singular value is
 * about (√n + √D)², the edge of its spectrum (Marchenko & Pastur 1967), and scatters about it as Johnstone (Annals of Statistics 29,
 * 2001) found, with the centre and scale of Ma (Bernoulli 18, 2012), which hold for a few rows or columns too; in all they have n·D.
 * n and D may be exchanged.
 */
function largestOfNoise(n: number, d: number): number {
  if (n <= 1 || d <= 1) return 1;
  const [a, b] = [Math.sqrt(n - 0.5), Math.sqrt(d - 0.5)];
  const scale = (a + b) * (1 / a + 1 / b) ** (1 / 3);
  return Math.max(MARGIN * (a + b) ** 2, (a + b) ** 2 + QUANTILE * scale) / (n * d);
}
