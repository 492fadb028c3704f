import { bottomAxis, leftAxis, linear } from '../axes.ts';
import { lookOf } from '../look.ts';
import { num, picture, text, WIDTH } from '../svg.ts';

/** Up to this many clusters have a bar of their own with a name; more are columns, from the largest on. */
const MOST_BARS = 30;
/** Columns narrower than this have no number. */
const NARROWEST_NAMED = 11;
/** More columns than this would be thinner than a pixel. */
const MOST_COLUMNS = 1000;

export interface Size {
  cluster: number;
  rows: number;
}

/** Rows of each cluster, the largest first. `all`: rows in all. */
export function sizesPicture(sizes: Size[], all: number): string {
  const sorted = sizes.toSorted((a, b) => b.rows - a.rows || a.cluster - b.cluster);
  const about = {
    id: 'sizes',
    title: 'Cluster sizes',
    description: `${sizes.length} clusters of ${sorted.at(-1)!.rows.toLocaleString('en')} to ${sorted[0].rows.toLocaleString('en')} rows.`,
  };
  return sorted.length <= MOST_BARS ? bars(sorted, all, about) : columns(sorted, about);
}

type About = { id: string; title: string; description: string };

function bars(sorted: Size[], all: number, about: About): string {
  const step = sorted.length > 15 ? 20 : 26;
  const box = { left: 62, right: WIDTH - 118, top: 14, bottom: 14 + step * Math.max(2, sorted.length) };
  const x = linear([0, sorted[0].rows], [box.left, box.right]);
  return picture(
    { ...about, height: box.bottom + 52 },
    text(14, (box.top + box.bottom) / 2, 'cluster', { anchor: 'middle', rotate: -90 }),
    ...sorted.map(({ cluster, rows }, i) => {
      const y = box.top + step * i;
      const width = Math.max(1, x(rows) - box.left);
      const share = `${((100 * rows) / all).toFixed(1)} %`;
      return [
        text(box.left - 8, y + step / 2 + 4.5, String(cluster), { anchor: 'end', bold: true }),
        `<rect x="${num(box.left)}" y="${num(y + 2)}" width="${num(width)}" height="${num(step - 4)}" fill="${lookOf(cluster).colour}"/>`,
        text(box.left + width + 7, y + step / 2 + 4.5, `${rows.toLocaleString('en')} · ${share}`),
      ].join('');
    }),
    bottomAxis(x, box, { count: 5, whole: true, title: 'rows' }),
  );
}

function columns(all: Size[], about: About): string {
  const sorted = all.slice(0, MOST_COLUMNS);
  const box = { left: 72, right: WIDTH - 16, top: 20, bottom: 260 };
  const step = (box.right - box.left) / sorted.length;
  const y = linear([0, sorted[0].rows], [box.bottom, box.top]);
  const named = step >= NARROWEST_NAMED;
  // Side by side to the last tenth, hundreds of bars would flicker.
  const gap = step > 6 ? 1.5 : 0;
  return picture(
    { ...about, height: box.bottom + (named ? 62 : 36) },
    leftAxis(y, box, { title: 'rows', whole: true }),
    ...sorted.map(({ cluster, rows }, i) => {
      const left = box.left + step * i;
      const bar = `<path d="M${short(left + gap / 2)} ${num(box.bottom)}V${num(Math.min(y(rows), box.bottom - 0.8))}h${short(step - gap)}V${num(box.bottom)}z" fill="${lookOf(cluster).colour}"/>`;
      if (!named) return bar;
      return (
        bar +
        text(left + step / 2 + 4, box.bottom + 8, String(cluster), { anchor: 'end', rotate: -90, size: 11 })
      );
    }),
    text(
      (box.left + box.right) / 2,
      box.bottom + (named ? 50 : 22),
      named ? 'cluster' : titleOf(sorted.length, all.length),
      { anchor: 'middle' },
    ),
  );
}

const short = (value: number) => String(Math.round(value * 100) / 100);

const titleOf = (shown: number, all: number) =>
  shown < all ? `the ${shown} largest of ${all} clusters` : `${all} clusters, the largest first`;
