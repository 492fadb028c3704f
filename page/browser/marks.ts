import { FOUND, type MapRow, readFound } from '../../model/map-tiles.ts';
import type { Frame } from '../drawing/map/map-view.ts';
import { bytesIn } from '../drawing/model-view.ts';
import { colourOf } from '../drawing/palette.ts';
import { counted } from '../drawing/text.ts';
import { cssColour } from './controls.ts';
import { byId, setText } from './dom.ts';
import type { MapSource } from './map-tiles.ts';

/** Rows that were found by words in their texts, marked on the map. */

/** How long nobody has typed before rows are looked for, ms. */
const TYPED_MS = 350;
/** Marks while the map moves. */
const MOST_MOVING = 4000;
/** Of a mark and of what is around it, pixels. */
const [INNER, OUTER] = [4, 7];

/** `changed`: the marks are to be drawn again. */
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
    const own = Array.from({ length: bytes.length / FOUND }, (_, i) => readFound(view, i * FOUND));
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
