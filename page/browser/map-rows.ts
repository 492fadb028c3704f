import { counted } from '../../base/quantities.ts';
import { AT, type MapRow, RECORD, readRecord, WORDS } from '../../model/map-records.ts';
import { NOISE } from '../../model/order.ts';
import { nameBeside } from '../../run/whole-map.ts';
import { bytesIn } from '../drawing/api.ts';
import { type MapData, type MapSource, MOST_SELECTED } from '../drawing/map.ts';
import { type Frame, isInside, type Point } from '../drawing/map-frame.ts';
import { colourOf, NOISE_COLOUR, swatch } from '../drawing/svg.ts';
import { count, escaped, percent } from '../drawing/text.ts';
import { cssColour } from './controls.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { MapRecords } from './map-records.ts';
import { csvOf, offer } from './save.ts';

/** Rows of the map that somebody looks for: those inside a line (how many of each cluster, and the rows themselves as a file), and those with some words in their texts. */

/** Places are in units, of which a pixel is no less than this. */
const LEAST_STEP = 1e-6;
/** Records that are looked at, and lines of a file that are made, at once. */
const LOOKED_AT = 1 << 16;
/** Clusters in the table. */
const MOST_LISTED = 20;

/** Rows inside a line. `records`: those of the map; `data`: what the server knows of rows; `changed`: the line is to be drawn again. */
export function selectionPanel(
  source: MapSource,
  records: MapRecords,
  data: Promise<MapData | null>,
  changed: () => void,
) {
  const { index } = source.about;
  // Noise has the number after theirs.
  const clusters = [...source.about.clusters, { label: NOISE, name: 'noise' }];
  const view = new DataView(records.bytes.buffer);
  const [button, panel] = [byId<HTMLButtonElement>('whole-select'), byId('whole-selected')];
  let isOn = false;
  let line: Point[] = [];
  let isClosed = false;
  /** Ends the counting of a selection. */
  let counting = new AbortController();
  /** The records inside the line. */
  let selected: number[] = [];

  button.onclick = () => {
    isOn = !isOn;
    button.setAttribute('aria-pressed', String(isOn));
    if (!isOn) clear();
    else byId('whole').focus();
  };
  byId('whole-clear').onclick = () => {
    clear();
    byId('whole').focus();
  };
  byId('whole-save').onclick = () => {
    const parts = [csvOf([['row', 'cluster', 'name', 'confidence', 'outlier_score', 'map_x', 'map_y']])];
    const inOrder = selected.map((i) => readRecord(view, RECORD * i)).sort((a, b) => a.row - b.row);
    for (let at = 0; at < inOrder.length; at += LOOKED_AT)
      parts.push(csvOf(inOrder.slice(at, at + LOOKED_AT).map(cellsOf)));
    offer('selection.csv', new Blob(parts, { type: 'text/csv' }));
  };

  function cellsOf({ row, cluster, x, y, confidence, outlier }: MapRow): (string | number)[] {
    const { label, name } = clusters[cluster];
    const { x: left, y: bottom, side } = index.box;
    const scores = [confidence, outlier].map((score) => Number(score.toFixed(3)));
    const places = [left + side * x, bottom + side * y].map((place) => Number(place.toPrecision(6)));
    return [row, label, name, ...scores, ...places];
  }

  function clear() {
    counting.abort();
    [line, isClosed, selected] = [[], false, []];
    panel.hidden = true;
    changed();
  }

  async function tell() {
    counting.abort();
    counting = new AbortController();
    const { signal } = counting;
    selected = [];
    panel.hidden = false;
    setHtml(byId('whole-telling'), '');
    setText(byId('whole-count'), 'Counting');
    await records.want(index.records);
    if (signal.aborted) return;
    if (records.count < index.records)
      return setText(byId('whole-count'), 'The rows cannot be read: the server has ended');
    const counts = new Float64Array(clusters.length);
    for (let from = 0; from < index.records; from += LOOKED_AT) {
      setText(byId('whole-count'), `Counting, ${percent(from / index.records, 0)}`);
      await new Promise((done) => setTimeout(done));
      if (signal.aborted) return;
      for (let i = from; i < Math.min(index.records, from + LOOKED_AT); i++) {
        const at = WORDS.record * i;
        if (!isInside(line, records.places[at + WORDS.x], records.places[at + WORDS.y])) continue;
        selected.push(i);
        counts[view.getUint16(RECORD * i + AT.cluster, true)]++;
      }
    }
    const all = selected.length;
    const isSample = index.records < index.rows;
    const ofAll = isSample ? ` of a sample of ${count(index.records)}` : `, ${percent(all / index.rows)}`;
    setText(byId('whole-count'), `${counted(all, 'row')}${ofAll}`);
    const found = [...counts.keys()].filter((c) => counts[c]).sort((a, b) => counts[b] - counts[a]);
    const lines = found.slice(0, MOST_LISTED).map((c) => {
      const [{ label }, name] = [clusters[c], nameBeside(clusters[c])];
      const named = name && ` <bdi>${escaped(name)}</bdi>`;
      const title = label === NOISE ? swatch(0, NOISE_COLOUR) : `${swatch(label)}${label}`;
      return `<tr><th scope="row">${title}${named}</th><td class="n">${count(counts[c])}</td><td class="n">${percent(counts[c] / all)}</td></tr>`;
    });
    const more =
      found.length > MOST_LISTED ? `<tr><th scope="row">${found.length - MOST_LISTED} others</th></tr>` : '';
    setHtml(byId('whole-counts'), lines.join('') + more);
    // The first ones are a random sample of them.
    const sample = selected.slice(0, MOST_SELECTED).map((i) => readRecord(view, RECORD * i).row);
    if (all)
      await tellApart(
        sample.sort((a, b) => a - b),
        signal,
      );
  }

  /** Words and columns that set these rows apart, where the server knows them. Texts are those of users. */
  async function tellApart(rows: number[], signal: AbortSignal) {
    const told = (await data) && (await source.telling(rows, signal).catch(() => null));
    if (signal.aborted || !told) return;
    const list = (title: string, texts: readonly string[]) =>
      texts.length ? [`${title}: ${texts.map((text) => `<bdi>${escaped(text)}</bdi>`).join(', ')}`] : [];
    const parts = [
      ...list('Words', told.words ?? []),
      ...list('Columns', told.columns ? [told.columns] : []),
    ];
    setHtml(byId('whole-telling'), parts.join(' · ') || 'No word or column sets them apart');
  }

  function close() {
    if (!isOn || isClosed || line.length < 3) return;
    isClosed = true;
    changed();
    void tell();
  }

  return {
    isOn: () => isOn,
    clear,
    close,
    /** One more place of the line. */
    add(place: Point) {
      if (isClosed) clear();
      const last = line.at(-1);
      if (!last || Math.hypot(place[0] - last[0], place[1] - last[1]) > LEAST_STEP) line.push(place);
      changed();
    },
    /** All rows in a part of the map. */
    take([left, bottom, right, top]: readonly number[]) {
      clear();
      line = [
        [left, bottom],
        [right, bottom],
        [right, top],
        [left, top],
      ];
      close();
    },
    draw(context: CanvasRenderingContext2D, { side, left, bottom }: Frame) {
      if (!line.length) return;
      context.beginPath();
      for (const [x, y] of line) context.lineTo(left + x * side, bottom - y * side);
      if (isClosed) context.closePath();
      context.lineWidth = 2;
      context.strokeStyle = cssColour('ink');
      context.stroke();
    },
  };
}

/** How long nobody has typed before rows are looked for, ms. */
const TYPED_MS = 350;
/** Marks while the map moves. */
const MOST_MOVING = 4000;
/** Of a mark and of what is around it, pixels. */
const [INNER, OUTER] = [4, 7];

/** Rows that were found by words in their texts, marked on the map. `changed`: the marks are to be drawn again. */
export function foundRows(source: MapSource, changed: () => void) {
  const told = byId('whole-found');
  let rows: MapRow[] = [];
  let request = new AbortController();
  let typed: ReturnType<typeof setTimeout> | undefined;

  function show(found: MapRow[], text: string) {
    rows = found;
    told.hidden = !text;
    setText(told, text);
    changed();
  }

  async function ask(words: string, { signal }: AbortController) {
    show([], 'Searching the texts');
    const found = await source.search(words, signal).catch(() => null);
    if (signal.aborted) return;
    if (!found) return show([], 'The texts cannot be read');
    const bytes = bytesIn(found.rows);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const own = Array.from({ length: bytes.length / RECORD }, (_, i) => readRecord(view, i * RECORD));
    const all = counted(own.length, 'row');
    show(own, own.length ? (found.isAll ? all : `The first ${all}`) : 'In no text');
  }

  return {
    /** Looks for them once nobody types any more, in place of those before. */
    search(words: string): void {
      request.abort();
      request = new AbortController();
      clearTimeout(typed);
      show([], '');
      if (words) typed = setTimeout(() => void ask(words, request), TYPED_MS);
    },
    draw(context: CanvasRenderingContext2D, frame: Frame, isMoving: boolean): void {
      const { width, height, side, left, bottom } = frame;
      const step = isMoving ? Math.ceil(rows.length / MOST_MOVING) : 1;
      const ink = cssColour('ink');
      for (let i = 0; i < rows.length; i += step) {
        const [x, y] = [rows[i].x * side + left, bottom - rows[i].y * side];
        if (x < 0 || y < 0 || x > width || y > height) continue;
        context.fillStyle = ink;
        context.fillRect(x - OUTER / 2, y - OUTER / 2, OUTER, OUTER);
        context.fillStyle = colourOf(source.about.clusters[rows[i].cluster]?.label ?? 0);
        context.fillRect(x - INNER / 2, y - INNER / 2, INNER, INNER);
      }
    },
    /** The one that is nearest to a place of the map, no further than `most`. */
    nearest(x: number, y: number, most: number): MapRow | null {
      let [found, least]: [MapRow | null, number] = [null, most];
      for (const row of rows) {
        const distance = Math.hypot(row.x - x, row.y - y);
        if (distance <= least) [found, least] = [row, distance];
      }
      return found;
    },
  };
}
