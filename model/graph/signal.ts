/** How many principal axes of a covariance carry structure, and how many only noise. */

/** Above the edge of the noise's spectrum by this factor, an eigenvalue is no fluctuation of it. */
const MARGIN = 1.05;
/** Axes that together have less than this share of the variance are noise, whatever its shape. */
const NEGLIGIBLE_SHARE = 0.02;

/**
 * The number of signal axes: the first q such that the others could be noise. Their largest eigenvalue is then at most that of a
 * covariance of n rows of equal variance, σ²·(1 + √(D/n))² with σ² their mean (Marchenko & Pastur 1967; the test one axis after
 * the other is that of Kritchman & Nadler, Chemometrics 94, 2008), or they have next to no variance together. `values.length` if
 * none of these leading eigenvalues is where noise begins.
 *
 * @param values leading eigenvalues, descending
 * @param trace the sum of all
 * @param d how many there are in all
 * @param n rows of which it is the covariance
 */
export function signalAxes(values: ArrayLike<number>, trace: number, d: number, n: number): number {
  const edge = (1 + Math.sqrt(d / n)) ** 2 * MARGIN;
  let rest = trace;
  for (let q = 0; q < values.length; q++) {
    if (rest <= NEGLIGIBLE_SHARE * trace) return q;
    if (values[q] <= (edge * rest) / (d - q)) return q;
    rest -= values[q];
  }
  return values.length;
}
