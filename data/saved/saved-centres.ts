import { type Centres, centreWidth, QUANTILE_STEPS } from '../../model/description/distances.ts';
import type { RunFiles } from './run-files.ts';

/** From where a run measures the distances of rows, float64, whose values are float32: [K,W] of model/description/distances.ts. */
export const CENTRES = 'model/centres.npy';
/** The quantiles of the distances of its rows, float64: [K,1001]. */
export const QUANTILES = 'model/distances.npy';

/** The two of a finished run; null if there are none, as in runs of earlier versions. UserError if they are damaged. */
export function readSavedCentres(
  files: RunFiles,
  k: number,
  d: number,
): { centres: Centres; quantiles: Float32Array } | null {
  if (!files.has(CENTRES) || !files.has(QUANTILES)) return null;
  const widths = [centreWidth(d, 'diag'), centreWidth(d, 'full')];
  const read = (name: string, widths: number[]) => {
    const expected = widths.map((width) => `shape (${k}, ${width})`).join(' or ');
    const fits = (shape: readonly number[]) => widths.some((width) => String(shape) === String([k, width]));
    const { shape, data } = files.array(name, fits, expected);
    if (!data.every(Number.isFinite)) throw files.damaged(name, 'it has values that are not finite');
    return { width: shape[1], values: Float32Array.from(data) };
  };
  const { width, values } = read(CENTRES, widths);
  const { values: quantiles } = read(QUANTILES, [QUANTILE_STEPS + 1]);
  return { centres: { k, d, covariance: width === widths[0] ? 'diag' : 'full', values }, quantiles };
}
