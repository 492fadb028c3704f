import { AT, RECORD } from '../../model/map-tiles.ts';
import { type Legend, MISSING_SHADE, MOST_CATEGORIES, MOST_SHADE } from '../../model/shades.ts';
import type { MapSource } from '../drawing/map.ts';
import { COLOURS, hexOf, mix, type Rgb, rgbOf } from '../drawing/svg.ts';
import { count, escaped, significant } from '../drawing/text.ts';
import { cssRgb } from './controls.ts';
import { byId, make, setHtml } from './dom.ts';
import type { PointPainter } from './map-points.ts';

/** The tiles of the map that the page has, and by what their points are coloured: their clusters, or shades of a score, of the order of rows, or of a column. */

interface LoadedTile<Buffer> {
  records: Uint8Array;
  /** The same by two bytes. */
  words: Uint16Array;
  buffer: Buffer;
  /** By which its rows are coloured, if these are there. */
  shades: Buffer | null;
}

/** The shades of a tile's rows, by its number. */
type Shading = (number: number, records: Uint8Array) => Promise<Uint8Array | null>;

/** Tiles on the device, and requests at a time. */
const [MOST_KEPT, AT_ONCE] = [400, 4];

/** The tiles that have been loaded. `arrived`: there is one more. */
export function tileStore<Buffer>(source: MapSource, points: PointPainter<Buffer>, arrived: () => void) {
  const kept = new Map<number, LoadedTile<Buffer>>();
  const asked = new Set<number>();
  const missing = new Set<number>();
  let wanted: readonly number[] = [];
  let shading: Shading | null = null;
  const drop = ({ buffer, shades }: LoadedTile<Buffer>) => {
    points.remove(buffer);
    if (shades) points.remove(shades);
  };

  async function load(number: number) {
    asked.add(number);
    const records = await source.tile(number).catch(() => null);
    asked.delete(number);
    if (!records) missing.add(number);
    else {
      const words = new Uint16Array(records.buffer, records.byteOffset, records.length / 2);
      kept.set(number, { records, words, buffer: points.buffer(records), shades: null });
      arrived();
    }
    next();
  }

  async function shade(number: number, tile: LoadedTile<Buffer>, by: Shading) {
    asked.add(number);
    const shades = await by(number, tile.records).catch(() => null);
    asked.delete(number);
    // The colours may be others meanwhile, and the tile forgotten.
    if (by === shading && kept.get(number) === tile) {
      tile.shades = points.buffer(shades ?? new Uint8Array(tile.words.length).fill(MISSING_SHADE));
      arrived();
    }
    next();
  }

  function next() {
    for (const number of wanted) {
      if (asked.size >= AT_ONCE) return;
      if (asked.has(number) || missing.has(number)) continue;
      const tile = kept.get(number);
      if (!tile) void load(number);
      else if (shading && !tile.shades) void shade(number, tile, shading);
    }
  }

  return {
    get(number: number): LoadedTile<Buffer> | undefined {
      const tile = kept.get(number);
      // Those that were used last are the last in the map.
      if (tile && kept.delete(number)) kept.set(number, tile);
      return tile;
    },
    /** Loads these, the first ones first, and forgets others where there are too many. */
    want(numbers: readonly number[]): void {
      wanted = numbers;
      const shown = new Set(numbers);
      for (const [number, tile] of kept) {
        if (kept.size <= MOST_KEPT) break;
        if (shown.has(number)) continue;
        drop(tile);
        kept.delete(number);
      }
      next();
    },
    /** Colours rows by other shades from now on; null: by none. */
    shadeBy(by: Shading | null): void {
      shading = by;
      for (const tile of kept.values()) {
        if (tile.shades) points.remove(tile.shades);
        tile.shades = null;
      }
      next();
    },
    /** The device has forgotten all of them. */
    clear(): void {
      kept.clear();
    },
  };
}

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

/** `shadeBy`: colours points by other shades, null by clusters. */
export function mapColours(source: MapSource, shadeBy: (shading: Shading | null) => void) {
  const choice = byId<HTMLSelectElement>('whole-colour');
  const { rows } = source.about.index;
  let legend: Legend | null = null;
  let reading = new AbortController();

  /** What shades stand for, and those of a tile's rows. */
  const ways: Record<string, { legend: Legend; shading: Shading }> = {
    confidence: { legend: UNIT, shading: scores(AT.confidence) },
    outlier: { legend: UNIT, shading: scores(AT.outlier) },
    row: {
      legend: { kind: 'number', values: [0, rows - 1], isTime: false, missing: 0 },
      shading: ofRecords((view, at) =>
        Math.floor((view.getUint32(at + AT.row, true) / rows) * (MOST_SHADE + 1)),
      ),
    },
  };

  choice.onchange = async () => {
    const { value } = choice;
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    legend = null;
    shadeBy(null);
    showLegend();
    if (value === 'cluster') return;
    const column = Number(value);
    const found = ways[value] ? ways[value].legend : await source.legend(column, signal).catch(() => null);
    // Somebody may have chosen another one meanwhile.
    if (signal.aborted) return;
    if (!found) return void setHtml(byId('whole-legend'), 'The column cannot be read');
    legend = found;
    shadeBy(ways[value]?.shading ?? ((tile) => source.shades(column, tile)));
    showLegend();
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

/** Shades of what the records of a tile have of each row. */
function ofRecords(shadeOf: (view: DataView, at: number) => number): Shading {
  return async (_, records) => {
    const view = new DataView(records.buffer, records.byteOffset, records.length);
    return Uint8Array.from({ length: records.length / RECORD }, (_, i) => shadeOf(view, i * RECORD));
  };
}

const scores = (offset: number): Shading =>
  ofRecords((view, at) => Math.min(MOST_SHADE, view.getUint8(at + offset)));
