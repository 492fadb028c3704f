import { counted } from '../../view/counted.ts';
import { linear } from '../../view/scales.ts';
import { bottomAxis, leftAxis } from '../axes.ts';
import { markerStyle } from '../markers.ts';
import { num, type PictureAttributes, picture, text, WIDTH } from '../svg.ts';

/** Up to this many clusters are labelled horizontal bars; more are columns. */
const MOST_BARS = 30;
/** Narrower columns have no label. */
const MIN_WIDTH_LABELLED = 11;
/** More columns than this would be thinner than a pixel. */
const MOST_COLUMNS = 1000;

export interface ClusterSize {
  cluster: number;
  rows: number;
}

/** Rows of each cluster, largest first. `total`: rows of the data. */
export function sizesPicture(sizes: ClusterSize[], total: number): string {
  const sorted = sizes.toSorted((a, b) => b.rows - a.rows || a.cluster - b.cluster);
  const attributes = {
    id: 'sizes',
    title: 'Cluster sizes',
    description: `${counted(sizes.length, 'cluster')} of ${sorted.at(-1)!.rows.toLocaleString('en')} to ${sorted[0].rows.toLocaleString('en')} rows.`,
  };
  return sorted.length <= MOST_BARS ? bars(sorted, total, attributes) : columns(sorted, attributes);
}

type Attributes = Omit<PictureAttributes, 'height'>;

function bars(sorted: ClusterSize[], total: number, attributes: Attributes): string {
  const step = sorted.length > 15 ? 20 : 26;
  const box = { left: 62, right: WIDTH - 118, top: 14, bottom: 14 + step * Math.max(2, sorted.length) };
  const x = linear([0, sorted[0].rows], [box.left, box.right]);
  return picture(
    { ...attributes, height: box.bottom + 52 },
    text(14, (box.top + box.bottom) / 2, 'cluster', { anchor: 'middle', rotate: -90 }),
    ...sorted.map(({ cluster, rows }, i) => {
      const y = box.top + step * i;
      const width = Math.max(1, x(rows) - box.left);
      const percentage = `${((100 * rows) / total).toFixed(1)} %`;
      return [
        text(box.left - 8, y + step / 2 + 4.5, String(cluster), { anchor: 'end', bold: true }),
        `<rect x="${num(box.left)}" y="${num(y + 2)}" width="${num(width)}" height="${num(step - 4)}" fill="${markerStyle(cluster).colour}"/>`,
        text(box.left + width + 7, y + step / 2 + 4.5, `${rows.toLocaleString('en')} · ${percentage}`),
      ].join('');
    }),
    bottomAxis(x, box, { count: 5, integers: true, title: 'rows' }),
  );
}

function columns(all: ClusterSize[], attributes: Attributes): string {
  const sorted = all.slice(0, MOST_COLUMNS);
  const box = { left: 72, right: WIDTH - 16, top: 20, bottom: 260 };
  const step = (box.right - box.left) / sorted.length;
  const y = linear([0, sorted[0].rows], [box.bottom, box.top]);
  const labelled = step >= MIN_WIDTH_LABELLED;
  // No gaps between narrow columns: they would cause moiré patterns.
  const gap = step > 6 ? 1.5 : 0;
  return picture(
    { ...attributes, height: box.bottom + (labelled ? 62 : 36) },
    leftAxis(y, box, { title: 'rows', integers: true }),
    ...sorted.map(({ cluster, rows }, i) => {
      const left = box.left + step * i;
      const bar = `<path d="M${short(left + gap / 2)} ${num(box.bottom)}V${num(Math.min(y(rows), box.bottom - 0.8))}h${short(step - gap)}V${num(box.bottom)}z" fill="${markerStyle(cluster).colour}"/>`;
      if (!labelled) return bar;
      return (
        bar +
        text(left + step / 2 + 4, box.bottom + 8, String(cluster), { anchor: 'end', rotate: -90, size: 11 })
      );
    }),
    text(
      (box.left + box.right) / 2,
      box.bottom + (labelled ? 50 : 22),
      labelled ? 'cluster' : titleOf(sorted.length, all.length),
      { anchor: 'middle' },
    ),
  );
}

const short = (value: number) => String(Math.round(value * 100) / 100);

const titleOf = (shown: number, all: number) =>
  shown < all
    ? `the ${shown} largest of ${counted(all, 'cluster')}`
    : all === 1
      ? '1 cluster'
      : `${counted(all, 'cluster')}, largest first`;
