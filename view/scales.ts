import { extent, ticks } from 'd3-array';
import { scaleLinear, scaleLog } from 'd3-scale';

/** From values to coordinates, on the live page and in the report. */

export interface Scale {
  (value: number): number;
  ticks(count?: number): number[];
  tickFormat(count?: number): (value: number) => string;
}

/** A linear scale, extended to multiples of the tick distance for about `ticks` ticks. An empty domain is widened on both sides. */
export function linear([from, to]: readonly number[], range: [number, number], ticks = 5): Scale {
  const margin = from < to ? 0 : Math.max(Math.abs(from) * 0.1, 1e-6);
  return scaleLinear([from - margin, to + margin], range).nice(ticks);
}

/** About how many powers of ten are labelled. */
const MOST_DECADES = 6;

/** Whether all values are positive, and span more than a factor of 50: on a linear axis only the largest could be read. */
export function needsLog(values: readonly number[]): boolean {
  const [least, most] = extent(values);
  return least !== undefined && least > 0 && most! / least > 50;
}

/** The share of a logarithmic axis before which 0 stands. */
const ZERO_GAP = 0.12;

/** For the heights of joins: as `lossScale`, but where they need a logarithmic axis and some are 0, 0 stands at its start. */
export function heightScale(heights: number[], range: [number, number]): Scale {
  const positive = heights.filter((height) => height > 0);
  const areAbove = heights.every((height) => height >= 0);
  if (positive.length === heights.length || !areAbove || !needsLog(positive))
    return lossScale(heights, range);
  const [start, end] = range;
  const above = lossScale(positive, [start + ZERO_GAP * (end - start), end]);
  return Object.assign((height: number) => (height === 0 ? start : above(height)), {
    ticks: (count?: number) => [0, ...above.ticks(count)],
    tickFormat: (count?: number) => (height: number) =>
      height === 0 ? '0' : above.tickFormat(count)(height),
  });
}

/** Logarithmic if the values need it, else linear. */
export function lossScale(values: number[], range: [number, number], count = 4): Scale {
  const [least, most] = extent(values) as [number, number];
  if (needsLog(values)) {
    const scale = scaleLog([least, most], range).nice();
    const format = (value: number) =>
      value >= 1e-4 && value < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(0);
    const [first, last] = scale.domain().map((end) => Math.round(Math.log10(end)));
    const powers = ticks(first, last, MOST_DECADES).filter(Number.isInteger);
    const decades = powers.map((power) => Number(`1e${power}`));
    return Object.assign((value: number) => scale(value), { ticks: () => decades, tickFormat: () => format });
  }
  return linear([Math.min(0, least), most], range, count);
}
