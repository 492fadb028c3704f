import { AT, RECORD } from '../../model/map-records.ts';
import { type Legend, MISSING_SHADE, MOST_CATEGORIES, MOST_SHADE } from '../../model/shades.ts';
import type { MapSource } from '../drawing/map.ts';
import { COLOURS, hexOf, mix, type Rgb, rgbOf } from '../drawing/svg.ts';
import { count, escaped, significant } from '../drawing/text.ts';
import { cssRgb } from './controls.ts';
import { byId, make, setHtml } from './dom.ts';
import type { MapRecords } from './map-records.ts';

/** By what the points of the map are coloured: their clusters, or shades of a score, of the order of rows, or of a column. */

/** From low to high, on light and on dark: dark, bluish and light, yellowish. */
const SCALE = ['#4244b9', '#30a5a8', '#f5af20'].map(rgbOf);
/** The colour at a part of the scale, 0 … 1. */
function between(part: number): Rgb {
  const at = part * (SCALE.length - 1);
  const from = Math.min(SCALE.length - 2, Math.floor(at));
  return mix(SCALE[from], SCALE[from + 1], at - from);
}
/** Steps of it in the legend, and their size in pixels. */
const [STEPS, STEP] = [16, 8];
const UNIT: Legend = { kind: 'number', values: [0, 1], isTime: false, missing: 0 };

/** The shade of a record by its number. */
type Shading = (record: number) => number;

/** `changed`: records have other shades. */
export function mapColours(source: MapSource, records: MapRecords, changed: () => void) {
  const choice = byId<HTMLSelectElement>('whole-colour');
  const { rows } = source.about.index;
  let legend: Legend | null = null;
  let reading = new AbortController();
  const view = new DataView(records.bytes.buffer);
  const score = (at: number) => ({
    legend: UNIT,
    shadeOf: (record: number) => Math.min(MOST_SHADE, view.getUint8(RECORD * record + at)),
  });

  /** What shades stand for, and those of records. */
  const ways: Record<string, { legend: Legend; shadeOf: Shading }> = {
    confidence: score(AT.confidence),
    outlier: score(AT.outlier),
    row: {
      legend: { kind: 'number', values: [0, rows - 1], isTime: false, missing: 0 },
      shadeOf: (record) =>
        Math.floor((view.getUint32(RECORD * record + AT.row, true) / rows) * (MOST_SHADE + 1)),
    },
  };

  async function columnShades(column: number, signal: AbortSignal) {
    const [legend, shades] = await Promise.all([
      source.legend(column, signal),
      source.shades(column, signal),
    ]);
    return legend && shades && { legend, shadeOf: (record: number) => shades[record] };
  }

  function shadeBy(shadeOf: Shading | null) {
    records.shadeBy(shadeOf);
    changed();
    showLegend();
  }

  choice.onchange = async () => {
    const { value } = choice;
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    legend = null;
    shadeBy(null);
    if (value === 'cluster') return;
    const found = ways[value] ?? (await columnShades(Number(value), signal).catch(() => null));
    // Somebody may have chosen another one meanwhile.
    if (signal.aborted) return;
    if (!found) return void setHtml(byId('whole-legend'), 'The column cannot be read');
    legend = found.legend;
    shadeBy(found.shadeOf);
  };

  /** The colour of each shade, in the colours of the theme. */
  function scale(): Rgb[] {
    const [edge, soft] = [cssRgb('edge'), cssRgb('soft')];
    const ofShade = (shade: number) => {
      if (shade === MISSING_SHADE) return mix(edge, soft, 0.3);
      if (legend?.kind !== 'category') return between(shade / MOST_SHADE);
      return shade < MOST_CATEGORIES ? rgbOf(COLOURS[shade]) : soft;
    };
    return Array.from({ length: 256 }, (_, shade) => ofShade(shade));
  }

  function showLegend() {
    const element = byId('whole-legend');
    element.hidden = choice.value === 'cluster';
    if (!legend) return void setHtml(element, 'Reading the column');
    const of = scale();
    const dot = (shade: number) =>
      `<svg class="swatch" viewBox="0 0 8 8" width="10" height="10" aria-hidden="true"><rect width="8" height="8" fill="${hexOf(of[shade])}"/></svg>`;
    const rest = (shade: number, name: string, rows: number) =>
      rows ? `${dot(shade)}${name} (${count(rows)})` : '';
    const missing = rest(MISSING_SHADE, 'missing', legend.missing);
    if (legend.kind === 'number') {
      const { isTime, values } = legend;
      const texts = values.map((value) => (isTime ? timeText(value) : significant(value)));
      const parts = Array.from(
        { length: STEPS },
        (_, i) =>
          `<rect x="${i * STEP}" width="${STEP}" height="10" fill="${hexOf(between(i / (STEPS - 1)))}"/>`,
      );
      const bar = `<svg width="${STEPS * STEP}" height="10" aria-hidden="true">${parts.join('')}</svg>`;
      const quartiles = texts.length > 2 ? ` (quartiles ${texts.slice(1, -1).join(', ')})` : '';
      const scaled = texts.length ? `${texts[0]} ${bar} ${texts.at(-1)}${quartiles}` : '';
      return void setHtml(element, scaled + missing);
    }
    const named = legend.categories.map(
      ({ name, rows }, i) => `${dot(i)}<bdi>${escaped(clipped(name))}</bdi> (${count(rows)})`,
    );
    setHtml(element, named.join(' ') + rest(MOST_CATEGORIES, 'others', legend.others) + missing);
  }

  return {
    isShaded: () => choice.value !== 'cluster',
    scale,
    showLegend,
    /** Offers columns as well. */
    offer(columns: readonly string[]): void {
      if (!columns.length) return;
      const group = make('optgroup', '');
      group.setAttribute('label', 'Columns');
      for (const [column, name] of columns.entries()) {
        const option = make('option', '', clipped(name));
        option.setAttribute('value', String(column));
        group.append(option);
      }
      choice.append(group);
    },
  };
}

const MOST_CHARACTERS = 40;
const clipped = (text: string) =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
const timeText = (ms: number) =>
  new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .slice(0, ms % 86_400_000 ? 16 : 10);
