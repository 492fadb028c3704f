import { line as path } from 'd3-shape';
import { COLOURS } from '../../view/palette.ts';
import { lossScale } from '../../view/scales.ts';
import { bottomAxis, epochScale, leftAxis } from '../axes.ts';
import type { EpochRecord, RunHistory } from '../history.ts';
import { type Box, curve, picture, text, WIDTH } from '../svg.ts';

const HEIGHT = 400;
const LEFT = 72;
const RIGHT = WIDTH - 24;
const PANELS = [
  { key: 'loss', title: 'clustering net', none: 'not trained: K was always 1', colour: COLOURS[0], top: 30 },
  { key: 'subLoss', title: 'sub-clustering nets', none: 'not trained', colour: COLOURS[5], top: 210 },
] as const;
const PANEL_HEIGHT = 138;
/** Beyond this number of points, each interval of epochs is drawn by its minimum and maximum. */
const MOST_POINTS = 2000;

type Point = [epoch: number, loss: number | null];

/** The losses of the clustering net and of the sub-nets, one above the other. */
export function lossPicture({ epochs }: RunHistory): string {
  const last = epochs.at(-1)!.epoch;
  const x = epochScale(last, [LEFT, RIGHT]);
  const bottom: Box = {
    left: LEFT,
    right: RIGHT,
    top: PANELS[1].top,
    bottom: PANELS[1].top + PANEL_HEIGHT,
  };
  return picture(
    {
      id: 'losses',
      height: HEIGHT,
      title: 'Losses over epochs',
      description: PANELS.map(({ key, title }) => `${title}: ${lastOf(epochs, key)}`).join('; '),
    },
    ...PANELS.map(({ key, title, none, colour, top }) => {
      const box: Box = { left: LEFT, right: RIGHT, top, bottom: top + PANEL_HEIGHT };
      const points = downsample(epochs.map((epoch): Point => [epoch.epoch, epoch[key]]));
      return panel(box, points, x, { title: `loss of the ${title}`, none, colour });
    }),
    bottomAxis(x, bottom, { integers: true, title: 'epoch' }),
  );
}

function lastOf(epochs: EpochRecord[], key: 'loss' | 'subLoss'): string {
  const last = epochs.findLast((epoch) => epoch[key] !== null);
  return last ? `${last[key]!.toPrecision(3)} in epoch ${last.epoch}` : 'not trained';
}

function panel(
  box: Box,
  points: Point[],
  x: (epoch: number) => number,
  { title, none, colour }: { title: string; none: string; colour: string },
): string {
  const values = points.flatMap(([, loss]) => (loss === null ? [] : [loss]));
  const head = text(box.left, box.top - 10, title, { bold: true });
  if (!values.length)
    return (
      head +
      text((box.left + box.right) / 2, (box.top + box.bottom) / 2, none, { anchor: 'middle', tone: 'mute' })
    );
  const y = lossScale(values, [box.bottom, box.top]);
  const segments = segmentsOf(points);
  const d = path<Point>(
    ([epoch]) => x(epoch),
    ([, loss]) => y(loss!),
  ).digits(1);
  return [
    head,
    leftAxis(y, box, { count: 4 }),
    ...segments.map((segment) =>
      curve(
        d(segment.length > 1 ? segment : [segment[0], segment[0]])!,
        colour,
        segment.length > 1 ? 1.6 : 3,
      ),
    ),
  ].join('');
}

/** Periods in which the net trained. Gaps of usual length are bridged, as sub-nets do not train in every epoch. */
function segmentsOf(points: Point[]): Point[][] {
  const segments: Point[][] = [];
  const known = points.filter(([, loss]) => loss !== null);
  const gaps = known.slice(1).map(([epoch], i) => epoch - known[i][0]);
  const usual = Math.max(1, gaps.toSorted((a, b) => a - b)[Math.ceil(gaps.length * 0.98) - 1] ?? 1);
  known.forEach((point, i) => {
    if (i === 0 || point[0] - known[i - 1][0] > usual) segments.push([]);
    segments.at(-1)!.push(point);
  });
  return segments;
}

function downsample(points: Point[]): Point[] {
  if (points.length <= MOST_POINTS) return points;
  const size = Math.ceil((2 * points.length) / MOST_POINTS);
  const kept: Point[] = [];
  for (let at = 0; at < points.length; at += size) {
    const known = points.slice(at, at + size).filter(([, loss]) => loss !== null);
    if (!known.length) continue;
    const sorted = known.toSorted((a, b) => a[1]! - b[1]!);
    const pair = [sorted[0], sorted.at(-1)!];
    kept.push(...(pair[0] === pair[1] ? [pair[0]] : pair.sort((a, b) => a[0] - b[0])));
  }
  return kept;
}
