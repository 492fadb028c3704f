import { RECORD, readRecord } from '../../model/map-tiles.ts';
import { priority } from '../../model/random.ts';
import { type Frame, isInside, type Point, tilesAround } from '../drawing/map/map-view.ts';
import { type MapData, MOST_SELECTED, nameBeside } from '../drawing/map/whole-map.ts';
import { swatch } from '../drawing/palette.ts';
import { count, counted, escaped, percent } from '../drawing/text.ts';
import { cssColour } from './controls.ts';
import { byId, setHtml, setText } from './dom.ts';
import type { MapSource } from './map-tiles.ts';
import { csvOf, offer } from './save.ts';

/** Rows inside a line that was drawn on the map: how many of each cluster, and the rows themselves as a file. */

/** Of a larger selection only counts are known; places are in units, of which a pixel is no less than this. */
const [MOST_SAVED, LEAST_STEP] = [2_000_000, 1e-6];
/** Clusters in the table. */
const MOST_LISTED = 20;

/** A random sample of the rows that are added, the same for the same rows. */
function rowSample() {
  const priorityOf = priority(0n);
  let kept: { row: number; at: number }[] = [];
  let below = 1;
  const cut = () => {
    kept = kept.sort((a, b) => a.at - b.at).slice(0, MOST_SELECTED);
    if (kept.length === MOST_SELECTED) below = kept.at(-1)!.at;
  };
  return {
    add(row: number): void {
      const at = priorityOf(row);
      if (at < below && kept.push({ row, at }) === 2 * MOST_SELECTED) cut();
    },
    /** Ascending. */
    rows(): number[] {
      cut();
      return kept.map(({ row }) => row).sort((a, b) => a - b);
    },
  };
}

/** `data`: what the server knows of rows; `changed`: the line is to be drawn again. */
export function selectionPanel(source: MapSource, data: Promise<MapData | null>, changed: () => void) {
  const { index, clusters } = source.about;
  const [button, panel] = [byId<HTMLButtonElement>('whole-select'), byId('whole-selected')];
  let isOn = false;
  let line: Point[] = [];
  let isClosed = false;
  /** Ends the counting of a selection. */
  let counting = new AbortController();
  let saved: (string | number)[][] = [];

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
    for (let at = 0; at < saved.length; at += 10_000) parts.push(csvOf(saved.slice(at, at + 10_000)));
    offer('selection.csv', new Blob(parts, { type: 'text/csv' }));
  };

  function clear() {
    counting.abort();
    [line, isClosed, saved] = [[], false, []];
    panel.hidden = true;
    changed();
  }

  async function tell() {
    counting.abort();
    counting = new AbortController();
    const { signal } = counting;
    saved = [];
    panel.hidden = false;
    setHtml(byId('whole-telling'), '');
    const counts = new Float64Array(clusters.length);
    const sample = rowSample();
    let all = 0;
    const { x: left, y: bottom, side } = index.box;
    const numbers = tilesAround(index, line);
    for (const [done, number] of numbers.entries()) {
      setText(byId('whole-count'), `Counting, ${percent(done / numbers.length, 0)}`);
      const records = await source.tile(number);
      if (signal.aborted) return;
      if (!records) return setText(byId('whole-count'), 'The rows cannot be read: the server has ended');
      const view = new DataView(records.buffer, records.byteOffset, records.length);
      const tile = index.tiles[number];
      const across = 2 ** tile.level;
      for (let at = 0; at < records.length; at += RECORD) {
        const row = readRecord(view, at);
        const [x, y] = [(tile.column + row.x) / across, (tile.row + row.y) / across];
        if (!isInside(line, x, y)) continue;
        all++;
        counts[row.cluster]++;
        sample.add(row.row);
        if (all > MOST_SAVED) continue;
        const { label, name } = clusters[row.cluster];
        const scores = [row.confidence, row.outlier].map((score) => Number(score.toFixed(3)));
        const places = [left + side * x, bottom + side * y].map((place) => Number(place.toPrecision(6)));
        saved.push([row.row, label, name, ...scores, ...places]);
      }
    }
    saved.sort((a, b) => Number(a[0]) - Number(b[0]));
    const isSample = index.rows > index.tiles.reduce((sum, tile) => sum + tile.count, 0);
    const ofAll = isSample ? ` of a sample of ${count(index.sample)}` : `, ${percent(all / index.rows)}`;
    const onlySome = all > MOST_SAVED ? `; the file has ${count(MOST_SAVED)} of them` : '';
    setText(byId('whole-count'), `${counted(all, 'row')}${ofAll}${onlySome}`);
    const found = [...counts.keys()].filter((c) => counts[c]).sort((a, b) => counts[b] - counts[a]);
    const lines = found.slice(0, MOST_LISTED).map((c) => {
      const [{ label }, name] = [clusters[c], nameBeside(clusters[c])];
      const named = name && ` <bdi>${escaped(name)}</bdi>`;
      return `<tr><th scope="row">${swatch(label)}${label}${named}</th><td class="n">${count(counts[c])}</td><td class="n">${percent(counts[c] / all)}</td></tr>`;
    });
    const more =
      found.length > MOST_LISTED ? `<tr><th scope="row">${found.length - MOST_LISTED} others</th></tr>` : '';
    setHtml(byId('whole-counts'), lines.join('') + more);
    if (all) await tellApart(sample.rows(), signal);
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
