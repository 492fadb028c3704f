import { COLOURS } from '../../view/palette.ts';
import { shortNumber } from '../axes.ts';
import type { Crosstab } from '../crosstab.ts';
import { num, picture, shorten, text, textWidth, WIDTH } from '../svg.ts';

/** Narrower cells show no counts, or no class names. */
const MIN_WIDTH_COUNTS = 25;
const MIN_WIDTH_NAMES = 11;

/** The confusion matrix. Shade: the fraction of the cluster's rows; order: that of the best matching. */
export function confusionPicture({ clusters, classes, counts }: Omit<Crosstab, 'mixedUp'>): string {
  const names = classes.map((name) => shorten(name, 14));
  const longest = Math.max(...names.map((name) => textWidth(name, 11.5)));
  const left = 62 + Math.max(0, ...clusters.map((name) => textWidth(name, 11.5) - 22));
  const cell = Math.min(52, (WIDTH - left - 20) / classes.length);
  const height = Math.max(11.5, Math.min(cell, 30));
  const flat = longest < cell - 2;
  const top = 34 + (flat ? 18 : Math.min(110, longest + 8));
  const right = left + cell * classes.length;
  const bottom = top + height * clusters.length;
  const numbered = cell >= MIN_WIDTH_COUNTS;
  const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const cells = counts.flatMap((row, i) =>
    row.map((count, j) => {
      const fraction = sums[i] ? count / sums[i] : 0;
      const [x, y] = [left + cell * j, top + height * i];
      if (!count) return '';
      const shade = `<rect x="${num(x + 0.5)}" y="${num(y + 0.5)}" width="${num(cell - 1)}" height="${num(height - 1)}" fill="${COLOURS[0]}" fill-opacity="${(0.04 + 0.96 * fraction).toFixed(2)}"/>`;
      if (!numbered) return shade;
      const label = count < 1e4 ? String(count) : shortNumber(count);
      const size = Math.min(11.5, (cell - 3) / (label.length * 0.57));
      return (
        shade +
        text(x + cell / 2, y + height / 2 + size * 0.37, label, {
          anchor: 'middle',
          size,
          ...(fraction > 0.5 && { fill: '#ffffff' }),
        })
      );
    }),
  );
  const size = Math.min(11.5, height * 0.95);
  return picture(
    {
      id: 'confusion',
      height: bottom + 44,
      title: 'Clusters against true classes',
      description: `${clusters.length} rows of clusters by ${classes.length} columns of classes, both in the order of the best matching.`,
    },
    text((left + right) / 2, 20, 'true class', { anchor: 'middle' }),
    text(18, (top + bottom) / 2, 'cluster', { anchor: 'middle', rotate: -90 }),
    `<path class="grid" d="M${num(left)} ${num(top)}H${num(right)}V${num(bottom)}H${num(left)}Z" fill="none" stroke="#e4e6ea"/>`,
    ...names.map((name, j) => {
      const x = left + cell * (j + 0.5);
      if (flat) return text(x, top - 8, name, { anchor: 'middle', size: 11.5 });
      return cell < MIN_WIDTH_NAMES ? '' : text(x + 4, top - 6, name, { rotate: -90, size: 11.5 });
    }),
    ...clusters.map((name, i) =>
      text(left - 8, top + height * (i + 0.5) + size * 0.37, name, { anchor: 'end', bold: true, size }),
    ),
    ...cells,
    ...legend(left, bottom + 22),
  );
}

function legend(left: number, y: number): string[] {
  const steps = [0, 0.25, 0.5, 0.75, 1];
  return [
    text(left, y + 10, 'share of the cluster’s rows', { tone: 'mute' }),
    ...steps.map((fraction, i) => {
      const x = left + 172 + 50 * i;
      return `<rect x="${num(x)}" y="${num(y)}" width="14" height="12" fill="${COLOURS[0]}" fill-opacity="${(0.04 + 0.96 * fraction).toFixed(2)}"/>${text(x + 18, y + 10, `${100 * fraction} %`, { tone: 'mute', size: 11 })}`;
    }),
  ];
}
