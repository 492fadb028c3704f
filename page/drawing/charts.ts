import { extent, max, ticks } from 'd3-array';
import { scaleLinear, scaleLog } from 'd3-scale';
import { curveStepAfter, line as path } from 'd3-shape';
import { counted } from '../../base/quantities.ts';
import { type Epochs, kAfterEpochs, kChanges, type RunHistory } from '../../run/history.ts';
import {
  type Box,
  COLOURS,
  clipped,
  curve,
  line,
  markerPath,
  num,
  picture,
  text,
  textWidth,
  WIDTH,
} from './svg.ts';
import { shortNumber } from './text.ts';

/** K and losses over epochs, for the page and for files; and for all pictures with axes the way from values to coordinates, and tick labels. */

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
function needsLog(values: readonly number[]): boolean {
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
  /** Of the ticks, the first and the last: where there is no room for all decades. */
  areEnds?: boolean;
  title?: string;
}

/** Tick labels in one format for the axis: 12,500, or 1.2M if some are large, or 3e-5 if all are small. */
function tickLabels(
  scale: Scale,
  count: number,
  { integers = false, areEnds = false }: AxisOptions,
): { tick: number; label: string }[] {
  const all = scale.ticks(count).filter((tick) => !integers || Number.isInteger(tick));
  const ticks = areEnds ? all.filter((_, i) => i === 0 || i === all.length - 1) : all;
  const sizes = ticks.map(Math.abs);
  const largest = Math.max(0, ...sizes);
  const format = integers ? (value: number) => value.toLocaleString('en') : scale.tickFormat(count);
  const isLog = !integers && largest > 0 && Math.min(...sizes) > 0;
  const plain = isLog || (largest >= 1e-3 && largest < 1e5);
  return ticks.map((tick) => ({ tick, label: plain || tick === 0 ? format(tick) : shortNumber(tick) }));
}

/** Horizontal grid lines, with tick labels to the left of the box. */
function leftAxis(scale: Scale, { left, right, top, bottom }: Box, options: AxisOptions = {}): string {
  const { count = 5, title } = options;
  const ticks = tickLabels(scale, count, options);
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
  const { count = 8, title } = options;
  const ticks = tickLabels(scale, count, options);
  return [
    line(left, bottom, right, bottom, 'axis'),
    ...ticks.map(({ tick }) => line(scale(tick), bottom, scale(tick), bottom + 4, 'axis')),
    ...ticks.map(({ tick, label }) =>
      text(scale(tick), bottom + 18, label, { anchor: 'middle', tone: 'mute' }),
    ),
    title ? text((left + right) / 2, bottom + 38, title, { anchor: 'middle' }) : '',
  ].join('');
}

/** The size of a chart and the epochs that it shows: all without `from` and `to`. */
export interface ChartFrame {
  width: number;
  height: number;
  from?: number;
  to?: number;
  /** The place of an epoch, in the columns of epochs, that is pointed at. */
  at?: number | null;
}

/** Of both charts, so that epochs are below each other. */
const [LEFT, RIGHT, BOTTOM] = [62, 40, 46];

/** From epochs to pixels. */
const epochScale = (
  { epoch }: Epochs,
  { width, from = 0, to = Math.max(1, epoch.at(-1) ?? 1) }: ChartFrame,
) => scaleLinear([from, to], [LEFT, width - RIGHT]);

/** The epoch of the pixel `x`, which need not be a whole number. */
export const epochAt = (epochs: Epochs, frame: ChartFrame, x: number): number =>
  epochScale(epochs, frame).invert(x);

/** Up to this many changes are labelled with the new K. */
const MOST_LABELLED = 16;
/** Up to this many changes have a mark on the curve; more are strokes above it. */
const MOST_MARKED = 100;
const STROKE = 7;
const KINDS = {
  split: { shape: 'triangle', colour: COLOURS[0], word: 'split step that raised K' },
  merge: { shape: 'wedge', colour: COLOURS[5], word: 'merge step that lowered K' },
} as const;

const BOTH = ['split', 'merge'] as const;

type KChange = ReturnType<typeof kChanges>[number];
type Place = [epoch: number, value: number];

/** K over epochs, with a mark for each split or merge step that changed it. `classes`: the number of true classes, if known. */
export function kChart(
  history: RunHistory,
  classes: number | null,
  frame: ChartFrame = { width: WIDTH, height: 330 },
): string {
  const { epochs } = history;
  const { width, height, at = null } = frame;
  const box: Box = { left: LEFT, right: width - RIGHT, top: 34, bottom: height - BOTTOM };
  const ks = kAfterEpochs(history);
  const points = changesOf([
    [epochs.epoch[0] - 1, epochs.k[0]],
    ...epochs.epoch.map((epoch, i): Place => [epoch, ks[i]]),
  ]);
  const changes = kChanges(history.events);
  const [last, now] = points.at(-1)!;
  const areMany = changes.length > MOST_MARKED;
  const most = Math.max(classes ?? 0, max(points, ([, k]) => k)!);
  const x = epochScale(epochs, frame);
  const y = linear([0, most * 1.12], [box.bottom, box.top + (areMany ? 3 * STROKE : 0)], Math.min(6, most));
  const d = path<Place>(
    ([epoch]) => x(epoch),
    ([, k]) => y(k),
  ).curve(curveStepAfter);
  const labels = changes.length <= MOST_LABELLED ? changes.filter(({ epoch }) => epoch < last) : [];
  return picture(
    {
      id: 'k',
      width,
      height,
      title: 'Number of clusters over epochs',
      description: `K went from ${points[0][1]} to ${now} in ${last} epochs; ${counted(changes.length, 'step')} changed it.`,
    },
    leftAxis(y, box, { count: Math.min(6, most + 1), integers: true, title: 'clusters (K)' }),
    bottomAxis(x, box, { count: Math.max(2, width / 90), integers: true, title: 'epoch' }),
    clipped(
      'k-in',
      { ...box, left: box.left - 8, right: box.right + 8, top: 0, bottom: box.bottom + 8 },
      [
        curve(d.digits(1)(points)!, undefined, areMany ? 1.2 : 2),
        areMany ? strokes(changes, x, box) : marks(changes, x, y),
        ...labels.map(({ epoch, kind, k }) => {
          const isLeft = kind === 'split' && x(epoch) > box.left + 30;
          return text(x(epoch) + (isLeft ? -7 : 7), y(k) + (kind === 'split' ? -8 : 16), String(k), {
            anchor: isLeft ? 'end' : 'start',
            halo: true,
          });
        }),
        at === null ? '' : pointer(x(epochs.epoch[at]), box, [y(ks[at])]),
      ].join(''),
    ),
    classes === null ? '' : classesLine(y(classes), classes, box),
    frame.to === undefined ? text(box.right + 6, y(now) + 4.5, String(now), { bold: true, size: 14 }) : '',
    ...legend(changes),
  );
}

/** The first place, those at which the value changes, and the last. */
function changesOf(places: Place[]): Place[] {
  return places.filter(([, value], i) => i === 0 || i === places.length - 1 || value !== places[i - 1][1]);
}

function marks(changes: KChange[], x: Scale, y: Scale): string {
  const size = changes.length > 40 ? 3.5 : 5.5;
  return changes
    .map(({ epoch, kind, k }) => {
      const { shape, colour } = KINDS[kind];
      return `<path class="rim" d="M${num(x(epoch))} ${num(y(k))}${markerPath(shape, size)}" fill="${colour}" stroke="#ffffff" stroke-width="1"/>`;
    })
    .join('');
}

/** A row of ticks for the splits, and below it one for the merges. */
function strokes(changes: KChange[], x: Scale, { top }: Box): string {
  return BOTH.map((kind, row) => {
    const above = top - 4 + row * (STROKE + 2);
    const these = changes.filter((change) => change.kind === kind);
    const d = these.map(({ epoch }) => `M${num(x(epoch))} ${num(above)}v${STROKE}`).join('');
    return `<path d="${d}" stroke="${KINDS[kind].colour}" stroke-width="0.9" fill="none"/>`;
  }).join('');
}

function classesLine(y: number, classes: number, { left, right }: Box): string {
  const dashed = line(left, y, right, y, 'axis').replace(' fill=', ' stroke-dasharray="3 4" fill=');
  const name = counted(classes, 'true class', 'true classes');
  return dashed + text(left + 6, y - 6, name, { tone: 'mute', halo: true });
}

function legend(changes: KChange[]): string[] {
  const present = BOTH.filter((kind) => changes.some((change) => change.kind === kind));
  return present.map((kind, i) => {
    const { shape, colour, word } = KINDS[kind];
    const left = LEFT + 200 * i;
    return `<path d="M${num(left + 6)} 16${markerPath(shape, 5.5)}" fill="${colour}"/>${text(left + 18, 20, word)}`;
  });
}

/** The epoch that is pointed at, and dots at its values. */
function pointer(x: number, { top, bottom }: Box, ys: readonly number[]): string {
  const dot = (y: number) =>
    `<path class="mark" d="M${num(x)} ${num(y)}${markerPath('circle', 3)}" fill="#1b1e23"/>`;
  return line(x, top, x, bottom, 'axis') + ys.map(dot).join('');
}

const PANELS = [
  { key: 'loss', title: 'clustering net', none: 'not trained', colour: COLOURS[0] },
  { key: 'subLoss', title: 'sub-clustering nets', none: 'not trained', colour: COLOURS[5] },
] as const;
/** Above each of both parts. */
const HEAD = 26;
/** Beyond this number of points, each interval of epochs is drawn by its minimum and maximum. */
const MOST_POINTS = 2000;

/** The losses of the clustering net and of the sub-nets, one above the other. `log`: without it, axes are as the values need them. */
export function lossChart(
  epochs: Epochs,
  frame: ChartFrame = { width: WIDTH, height: 400 },
  log: boolean | null = null,
): string {
  const { width, height, at = null } = frame;
  const x = epochScale(epochs, frame);
  const part = (height - BOTTOM) / 2;
  const boxes = [0, 1].map(
    (i): Box => ({ left: LEFT, right: width - RIGHT, top: i * part + HEAD, bottom: (i + 1) * part - 4 }),
  );
  return picture(
    {
      id: 'losses',
      width,
      height,
      title: 'Losses over epochs',
      description: PANELS.map(({ key, title }) => `${title}: ${lastLoss(epochs, key)}`).join('; '),
    },
    ...PANELS.map(({ key, title, none, colour }, i) => {
      const box = boxes[i];
      const places = epochs.epoch.flatMap((epoch, j): Place[] => {
        const loss = epochs[key][j];
        const isShown = epoch >= (frame.from ?? 0) && epoch <= (frame.to ?? epoch);
        return loss === null || !isShown ? [] : [[epoch, loss]];
      });
      const head = text(box.left, box.top - 9, `loss of the ${title}`, { bold: true });
      const [middle, centre] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      if (!places.length) return head + text(middle, centre, none, { anchor: 'middle', tone: 'mute' });
      const shown = places.map(([, loss]) => loss);
      const y = lossScale(shown, [box.bottom, box.top], log);
      const pointed = at === null ? null : epochs[key][at];
      return [
        head,
        leftAxis(y, box, { count: 4 }),
        ...stretches(thinned(places)).map((stretch) => lossCurve(stretch, x, y, colour)),
        at === null ? '' : pointer(x(epochs.epoch[at]), box, pointed === null ? [] : [y(pointed)]),
      ].join('');
    }),
    bottomAxis(x, boxes[1], { count: Math.max(2, width / 90), integers: true, title: 'epoch' }),
  );
}

/** Whether an axis of these losses is logarithmic if that is not chosen. */
export const hasLogAxis = ({ loss, subLoss }: Epochs): boolean =>
  [loss, subLoss].some((values) => needsLog(values.filter((value): value is number => value !== null)));

function lossCurve(stretch: Place[], x: Scale, y: Scale, colour: string): string {
  const d = path<Place>(
    ([epoch]) => x(epoch),
    ([, loss]) => y(loss),
  ).digits(1);
  const [only] = stretch;
  return stretch.length > 1 ? curve(d(stretch)!, colour, 1.6) : curve(d([only, only])!, colour, 3);
}

function lastLoss({ epoch, ...losses }: Epochs, key: 'loss' | 'subLoss'): string {
  const last = losses[key].findLastIndex((loss) => loss !== null);
  return last < 0 ? 'not trained' : `${losses[key][last]!.toPrecision(3)} in epoch ${epoch[last]}`;
}

/** Periods in which the net trained. Gaps of usual length are bridged, as sub-nets do not train in every epoch. */
function stretches(places: Place[]): Place[][] {
  const found: Place[][] = [];
  const gaps = places.slice(1).map(([epoch], i) => epoch - places[i][0]);
  const usual = Math.max(1, gaps.toSorted((a, b) => a - b)[Math.ceil(gaps.length * 0.98) - 1] ?? 1);
  for (const [i, place] of places.entries()) {
    if (i === 0 || place[0] - places[i - 1][0] > usual) found.push([]);
    found.at(-1)!.push(place);
  }
  return found;
}

function thinned(places: Place[]): Place[] {
  if (places.length <= MOST_POINTS) return places;
  const size = Math.ceil((2 * places.length) / MOST_POINTS);
  const kept: Place[] = [];
  for (let from = 0; from < places.length; from += size) {
    const sorted = places.slice(from, from + size).sort((a, b) => a[1] - b[1]);
    const ends = sorted.length > 1 ? [sorted[0], sorted.at(-1)!] : sorted;
    kept.push(...ends.sort((a, b) => a[0] - b[0]));
  }
  return kept;
}
