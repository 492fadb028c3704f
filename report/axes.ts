import { scaleLinear } from 'd3-scale';
import type { Scale } from '../view/scales.ts';
import { type Box, line, text, textWidth } from './svg.ts';

/** Axes with tick labels. */

/** From 0 to the last epoch, not extended. */
export function epochScale(last: number, range: [number, number]): Scale {
  return scaleLinear([0, Math.max(1, last)], range);
}

export interface AxisOptions {
  count?: number;
  /** Ticks at integers only. */
  integers?: boolean;
  title?: string;
}

/** Tick labels in one format for the axis: 12,500, or 1.2M if some are large, or 3e-5 if all are small. */
function tickLabels(scale: Scale, count: number, integers = false): { tick: number; label: string }[] {
  const ticks = scale.ticks(count).filter((tick) => !integers || Number.isInteger(tick));
  const largest = Math.max(0, ...ticks.map(Math.abs));
  const format = integers ? (value: number) => value.toLocaleString('en') : scale.tickFormat(count);
  const isLog = integers ? false : largest > 0 && Math.min(...ticks.map(Math.abs)) > 0;
  const plain = isLog || (largest >= 1e-3 && largest < 1e5);
  return ticks.map((tick) => ({ tick, label: plain || tick === 0 ? format(tick) : shortNumber(tick) }));
}

/** A number in few characters: 940, 1.2M, 3e-5. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  const short = (by: number) => String(Number((value / by).toPrecision(3)));
  const [unit, letter] = UNITS.find(([unit]) => size >= unit * 0.9995) ?? [1, ''];
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e15)
      ? Number(value.toPrecision(3)).toExponential().replace('+', '')
      : short(unit) + letter;
  return text.replace(/^-/, '−');
}

const UNITS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Horizontal grid lines, with tick labels to the left of the box. */
export function leftAxis(scale: Scale, { left, right, top, bottom }: Box, options: AxisOptions = {}): string {
  const { count = 5, integers, title } = options;
  const ticks = tickLabels(scale, count, integers);
  const widest = Math.max(0, ...ticks.map(({ label }) => textWidth(label)));
  return [
    ...ticks.map(({ tick }) => line(left, scale(tick), right, scale(tick))),
    ...ticks.map(({ tick, label }) =>
      text(left - 7, scale(tick) + 4, label, { anchor: 'end', tone: 'mute' }),
    ),
    title
      ? text(Math.max(13, left - 18 - widest), (top + bottom) / 2, title, { anchor: 'middle', rotate: -90 })
      : '',
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
