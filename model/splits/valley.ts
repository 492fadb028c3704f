/** A valley in the density of rows along an axis (docs/algorithm.md, section 6). */

/** Weights of a bin's neighbours when a histogram is smoothed. */
const KERNEL = [1, 2, 3, 2, 1];
/** Of how many bins a smoothed count has the variance: (Σ weights)²/Σ weights². */
const KERNEL_BINS = 81 / 19;
/** The share of the rows on each side that has to rise above the valley. */
const LEAST_SHARE = 0.3;
/** Standard deviations by which chance may lower the floor: few rows leave gaps in any density. */
const SURENESS = 2;

/**
 * Does the density fall between the bins `from` and `to` and rise again on both sides? True if at least 30 % of the rows on each
 * side lie above what the density at the valley's floor may be, given its rows: in a tail, and in a flat or rising density, they
 * do not. The first and the last bin, in which everything beyond is collected, do not count.
 */
export function hasValley(histogram: Float64Array, from: number, to: number): boolean {
  const inner = histogram.slice(1, -1);
  const smooth = inner.map((_, i) => {
    let [sum, total] = [0, 0];
    for (const [o, weight] of KERNEL.entries()) {
      const value = inner[i + o - (KERNEL.length - 1) / 2];
      if (value === undefined) continue;
      sum += weight * value;
      total += weight;
    }
    return sum / total;
  });
  let floor = Math.max(0, from - 1);
  for (let i = floor; i <= Math.min(smooth.length - 1, to - 1); i++) if (smooth[i] < smooth[floor]) floor = i;
  const onFloor = smooth[floor] * KERNEL_BINS;
  const level = (onFloor + SURENESS * Math.sqrt(onFloor + 1) + SURENESS ** 2 / 4) / KERNEL_BINS;
  const isRaised = (side: Float64Array) => {
    let [above, all] = [0, 0];
    for (const value of side) {
      above += Math.max(0, value - level);
      all += value;
    }
    return above > 0 && above >= LEAST_SHARE * all;
  };
  return isRaised(smooth.subarray(0, floor)) && isRaised(smooth.subarray(floor + 1));
}
