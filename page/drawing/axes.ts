import { extent, ticks } from 'd3-array';
import { scaleLinear, scaleLog } from 'd3-scale';
import { type Box, line, text, textWidth } from './svg.ts';
import { shortNumber } from './text.ts';

/** From values to coordinates, and axes with tick labels. */

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

/** Logarithmic if the values need it, or if that is chosen and they are positive; else linear. */
export function lossScale(values: number[], range: [number, number], log: boolean | null = null): Scale {
  const [least, most] = extent(values) as [number, number];
  if (log === null ? needsLog(values) : log && least > 0) {
    const scale = scaleLog([least, most], range).nice();
    const format = (value: number) =>
      value >= 1e-4 && value < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(0);
    const [first, last] = scale.domain().map((end) => Math.round(Math.log10(end)));
    const powers = ticks(first, last, MOST_DECADES).filter(Number.isInteger);
    const decades = powers.map((power) => Number(`1e${power}`));
    return Object.assign((value: number) => scale(value), { ticks: () => decades, tickFormat: () => format });
  }
  return linear([Math.min(0, least), most], range, 4);
}

/** `integers`: ticks at these only. */
interface AxisOptions {
  count?: number;
  integers?: boolean;
  title?: string;
}

/** Tick labels in one format for the axis: 12,500, or 1.2M if some are large, or 3e-5 if all are small. */
function tickLabels(scale: Scale, count: number, integers = false): { tick: number; label: string }[] {
  const ticks = scale.ticks(count).filter((tick) => !integers || Number.isInteger(tick));
  const sizes = ticks.map(Math.abs);
  const largest = Math.max(0, ...sizes);
  const format = integers ? (value: number) => value.toLocaleString('en') : scale.tickFormat(count);
  const isLog = !integers && largest > 0 && Math.min(...sizes) > 0;
  const plain = isLog || (largest >= 1e-3 && largest < 1e5);
  return ticks.map((tick) => ({ tick, label: plain || tick === 0 ? format(tick) : shortNumber(tick) }));
}

/** Horizontal grid lines, with tick labels to the left of the box. */
export function leftAxis(scale: Scale, { left, right, top, bottom }: Box, options: AxisOptions = {}): string {
  const { count = 5, integers, title } = options;
  const ticks = tickLabels(scale, count, integers);
  const widest = Math.max(0, ...ticks.map(({ label }) => textWidth(label)));
  const x = Math.max(13, left - 18 - widest);
  return [
    ...ticks.map(({ tick }) => line(left, scale(tick), right, scale(tick))),
    ...ticks.map(({ tick, label }) =>
      text(left - 7, scale(tick) + 4, label, { anchor: 'end', tone: 'mute' }),
    ),
    title ? text(x, (top + bottom) / 2, title, { anchor: 'middle', rotate: -90 }) : '',
  ].join('');
}

/** The line at the bottom of the box, with tick labels below. */
export function bottomAxis(scale: Scale, { left, right, bottom }: Box, options: AxisOptions = {}): string {
  const { count = 8, integers, title } = options;
  const ticks = tickLabels(scale, count, integers);
  return [
    line(left, bottom, right, bottom, 'axis'),
    ...ticks.map(({ tick }) => line(scale(tick), bottom, scale(tick), bottom + 4, 'axis')),
    ...ticks.map(({ tick, label }) =>
      text(scale(tick), bottom + 18, label, { anchor: 'middle', tone: 'mute' }),
    ),
    title ? text((left + right) / 2, bottom + 38, title, { anchor: 'middle' }) : '',
  ].join('');
}
