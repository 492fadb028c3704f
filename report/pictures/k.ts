import { max } from 'd3-array';
import { curveStepAfter, line as path } from 'd3-shape';
import { COLOURS } from '../../view/palette.ts';
import { linear } from '../../view/scales.ts';
import { bottomAxis, epochScale, leftAxis } from '../axes.ts';
import type { EpochRecord, RunHistory, StepRecord } from '../history.ts';
import { markerPath } from '../markers.ts';
import { curve, line, num, picture, text, WIDTH } from '../svg.ts';

const HEIGHT = 330;
const BOX = { left: 62, top: 42, right: WIDTH - 40, bottom: HEIGHT - 52 };
/** Up to this many changes are labelled with the new K. */
const MOST_LABELLED = 16;
/** Up to this many changes have a mark on the curve; more are strokes above it. */
const MOST_MARKED = 100;
const STROKE = 7;
const KINDS = {
  split: { shape: 'triangle', colour: COLOURS[0], word: 'split step that raised K' },
  merge: { shape: 'wedge', colour: COLOURS[5], word: 'merge step that lowered K' },
} as const;

/** K over epochs, with a mark for each split or merge step that changed it. */
export function kPicture({ epochs, steps }: RunHistory, classes: number | null): string {
  const points = kPoints(epochs, steps);
  const changes = steps.filter(({ changed }) => changed > 0);
  const last = points.at(-1)!;
  const many = changes.length > MOST_MARKED;
  const most = Math.max(classes ?? 0, max(points, ([, k]) => k)!);
  const x = epochScale(last[0], [BOX.left, BOX.right]);
  const y = linear([0, most * 1.12], [BOX.bottom, BOX.top + (many ? 3 * STROKE : 0)], Math.min(6, most));
  const d = path<[number, number]>(
    ([epoch]) => x(epoch),
    ([, k]) => y(k),
  ).curve(curveStepAfter);
  const size = changes.length > 40 ? 3.5 : 5.5;
  const marks = (many ? [] : changes).map(({ epoch, kind, k }) => {
    const { shape, colour } = KINDS[kind];
    return `<path class="rim" d="M${num(x(epoch))} ${num(y(k))}${markerPath(shape, size)}" fill="${colour}" stroke="#ffffff" stroke-width="1"/>`;
  });
  const labels = changes.length <= MOST_LABELLED ? changes.filter(({ epoch }) => epoch < last[0]) : [];
  return picture(
    {
      id: 'k',
      height: HEIGHT,
      title: 'Number of clusters over epochs',
      description: `K went from ${points[0][1]} to ${last[1]} in ${last[0]} epochs; ${changes.length} ${changes.length === 1 ? 'step' : 'steps'} changed it.`,
    },
    leftAxis(y, BOX, { count: Math.min(6, most + 1), integers: true, title: 'clusters (K)' }),
    bottomAxis(x, BOX, { integers: true, title: 'epoch' }),
    curve(d.digits(1)(points)!, undefined, many ? 1.2 : 2),
    classes === null ? '' : classesLine(y(classes), classes),
    many ? strokes(changes, x) : '',
    ...marks,
    ...labels.map(({ epoch, kind, k }) =>
      text(x(epoch) - (kind === 'split' ? 7 : -7), y(k) + (kind === 'split' ? -8 : 16), String(k), {
        anchor: kind === 'split' ? 'end' : 'start',
        halo: true,
      }),
    ),
    text(BOX.right + 6, y(last[1]) + 4.5, String(last[1]), { bold: true, size: 14 }),
    ...legend(changes),
  );
}

/** A row of ticks for the splits, and below it one for the merges. */
function strokes(changes: StepRecord[], x: (epoch: number) => number): string {
  return (['split', 'merge'] as const)
    .map((kind, row) => {
      const top = BOX.top - 4 + row * (STROKE + 2);
      const own = changes.filter((change) => change.kind === kind);
      return `<path d="${own.map(({ epoch }) => `M${num(x(epoch))} ${num(top)}v${STROKE}`).join('')}" stroke="${KINDS[kind].colour}" stroke-width="0.9" fill="none"/>`;
    })
    .join('');
}

/** (epoch, K) at the start, at each change of K, and at the end. */
function kPoints(epochs: EpochRecord[], steps: StepRecord[]): [number, number][] {
  const all = [
    ...epochs.map(({ epoch, k }) => ({ epoch, k, order: 0 })),
    ...steps.map(({ epoch, k }) => ({ epoch, k, order: 1 })),
  ].sort((a, b) => a.epoch - b.epoch || a.order - b.order);
  const points: [number, number][] = [[Math.max(0, all[0].epoch - 1), all[0].k]];
  for (const { epoch, k } of all) if (k !== points.at(-1)![1]) points.push([epoch, k]);
  const end = all.at(-1)!;
  if (points.at(-1)![0] !== end.epoch || points.length === 1) points.push([end.epoch, end.k]);
  return points;
}

function classesLine(y: number, classes: number): string {
  const label = `${classes} true ${classes === 1 ? 'class' : 'classes'}`;
  return `${line(BOX.left, y, BOX.right, y, 'axis').replace(' fill="none"', ' fill="none" stroke-dasharray="3 4"')}${text(BOX.left + 6, y - 6, label, { tone: 'mute', halo: true })}`;
}

function legend(changes: StepRecord[]): string[] {
  let at = BOX.left;
  return (['split', 'merge'] as const)
    .filter((kind) => changes.some((change) => change.kind === kind))
    .map((kind) => {
      const { shape, colour, word } = KINDS[kind];
      const left = at;
      at += 200;
      return `<path d="M${num(left + 6)} 20${markerPath(shape, 5.5)}" fill="${colour}"/>${text(left + 18, 24, word)}`;
    });
}
