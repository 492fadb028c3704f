import { RECORD, readRecord } from '../../../model/map-tiles.ts';
import { dots } from '../points.ts';
import { num, picture, text } from '../svg.ts';
import { counted } from '../text.ts';
import { LINE_HEIGHT, labelExtent, type SizedLabel, type StandingLabel, standLabels } from './map-labels.ts';
import type { SampledMap } from './whole-map.ts';

/** The map with names on it, for print. */

/** Width in user units, and room around the map, in which labels stand that have none on it. */
const [WIDTH, BESIDE, ABOVE] = [900, 100, 30];
/** Heights of a picture, whatever the map is like. */
const [LOWEST, HIGHEST] = [420, 820];
/** Points in it, and labels at the most. */
const [MOST_POINTS, MOST_LABELS] = [15_000, 150];
const RADIUS = { few: 2.4, many: 1.1 };

/** Size of a label's font, by its layer. */
export const labelSize = (layer: number): number => 11 + 2 * Math.min(layer, 3);

/** At most 15,000 rows in the colours of their clusters, and as many names as have room, the largest clusters first. */
export function mapPicture({ about, sample }: SampledMap): string {
  const [left, bottom, right, top] = about.index.home;
  const scale = Math.min((WIDTH - 2 * BESIDE) / (right - left), (HIGHEST - 2 * ABOVE) / (top - bottom));
  const height = Math.max(LOWEST, Math.round(scale * (top - bottom)) + 2 * ABOVE);
  const x = (at: number) => WIDTH / 2 + (at - (left + right) / 2) * scale;
  const y = (at: number) => height / 2 - (at - (bottom + top) / 2) * scale;

  const from = new DataView(sample.buffer, sample.byteOffset, sample.byteLength);
  const count = Math.min(MOST_POINTS, sample.length / RECORD);
  const [xs, ys] = [new Float32Array(count), new Float32Array(count)];
  const rowsOf = about.clusters.map((): number[] => []);
  let far = 0;
  for (let i = 0; i < count; i++) {
    const row = readRecord(from, i * RECORD);
    [xs[i], ys[i]] = [x(row.x), y(row.y)];
    if (xs[i] < 0 || xs[i] > WIDTH || ys[i] < 0 || ys[i] > height) far++;
    else rowsOf[row.cluster]?.push(i);
  }
  const labels = about.names.slice(0, MOST_LABELS).map((name): SizedLabel => {
    const extent = labelExtent(name.lines, labelSize(name.layer));
    return { ...name, ...extent, x: x(name.x), y: y(name.y) };
  });
  const stand = standLabels(labels, { width: WIDTH, height });
  const shown = stand.flatMap((at, i) => (at ? [{ label: labels[i], at }] : []));
  const ids = about.clusters.map(({ label }) => label);
  const named = shown.filter(({ label }) => label.node < ids.length).length;
  const k = about.index.places.filter(Boolean).length;
  const radius = RADIUS.many + (RADIUS.few - RADIUS.many) * Math.min(1, (600 / Math.max(1, count)) ** 0.4);
  return picture(
    {
      ...{ id: 'clusters', width: WIDTH, height, title: 'Clusters' },
      description: `A map of ${counted(about.index.rows, 'row')}, of which ${count - far} are drawn, and the names of ${named} of ${counted(k, 'cluster')}.`,
    },
    dots({ xs, ys, radius }, rowsOf, ids),
    ...shown.flatMap(({ label, at }) => (at.isAside ? [arrow(label, at)] : [])),
    ...shown.map(({ label, at }) => words(label, at)),
  );
}

/** From the edge of a label to its place, with a rim that tells it from points. */
function arrow({ x, y, width, height }: SizedLabel, at: StandingLabel): string {
  const [dx, dy] = [x - at.x, y - at.y];
  const inside = Math.min(width / 2 / Math.abs(dx), height / 2 / Math.abs(dy));
  const [u, v] = [dx, dy].map((part) => part / Math.hypot(dx, dy));
  const [bx, by] = [x - 7 * u, y - 7 * v];
  const line =
    inside < 1 ? `M${num(at.x + inside * dx)} ${num(at.y + inside * dy)}L${num(bx)} ${num(by)}` : '';
  const head = `M${num(x)} ${num(y)}L${num(bx - 3 * v)} ${num(by + 3 * u)}L${num(bx + 3 * v)} ${num(by - 3 * u)}Z`;
  return `<path class="halo" d="${line}${head}" fill="none" stroke="#ffffff" stroke-width="3.4" stroke-linejoin="round"/><path class="arrow" d="${line}${head}" fill="#1b1e23" stroke="#1b1e23"/>`;
}

function words({ lines, height, layer }: SizedLabel, { x, y }: StandingLabel): string {
  const size = labelSize(layer);
  const line = (content: string, i: number) =>
    text(x, y - height / 2 + (i + 0.8) * LINE_HEIGHT * size, content, {
      ...{ size, anchor: 'middle', bold: true, halo: true, tone: layer ? 'mute' : 'ink' },
    });
  return lines.map(line).join('');
}
