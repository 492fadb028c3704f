import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { fillCells } from '../data/fill.ts';
import { imageShape, imageUri } from '../data/images/folder.ts';
import { moveOutliers } from '../data/outlier-bounds.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import type { Source } from '../data/source.ts';
import type { KeptTexts } from '../data/texts/kept-texts.ts';
import { networkRows, type Transform, unitRows } from '../data/transform.ts';
import type { RowContent, RowContents } from './drawing/cluster-details.ts';
import { sampledRanges } from './drawing/model-view.ts';

/** Rows of the data for the page: a sample as points, and single ones as people may look at them. */

/** Rows for display in the coordinates of the nets, row-major. */
export interface RowSample {
  rows: number;
  dim: number;
  values: Float32Array;
}

const MAX_ROWS = 20_000;
/** Most numbers to send. */
const MAX_VALUES = 1_000_000;
/** Most numbers to read. */
const MAX_READ = 8_000_000;

/**
 * Reads rows spread over the data and transforms them. Yields to the event loop between ranges. For display only: workers may
 * round differently.
 */
export async function readSample(source: Source, transform: Transform, most = MAX_ROWS): Promise<RowSample> {
  const { dim } = transform;
  const rows = Math.max(
    1,
    Math.min(source.rows, most, Math.floor(MAX_VALUES / dim), Math.floor(MAX_READ / source.dim)),
  );
  const values = new Float32Array(rows * dim);
  let at = 0;
  for await (const raw of readSpans(source, sampledRanges(rows, source.rows))) {
    // So that they do not decide the scale of the picture.
    if (transform.fences) moveOutliers(raw, transform.input, transform.fences);
    if (transform.fill) fillCells(transform.fill, raw, transform.input);
    unitRows(transform, raw);
    values.set(networkRows(transform, raw), at * dim);
    at += raw.length / source.dim;
    await setImmediate();
  }
  return { rows, dim, values };
}

/** Most rows in one answer, and most columns of each. */
const MAX_ANSWERED = 24;
const MAX_COLUMNS = 40;

/** The numbers in `rows=1,2,3`; null if it is not that, has too many, or ones that are not in the data. */
function rowNumbers(query: unknown, all: number): number[] | null {
  if (typeof query !== 'string' || !/^\d{1,15}(,\d{1,15})*$/.test(query)) return null;
  const rows = query.split(',').map(Number);
  return rows.length <= MAX_ANSWERED && rows.every((row) => row < all) ? rows : null;
}

/** Rows of the data as people may look at them: the picture of an image, else the values of the first columns. */
export async function readRows(source: Source, rows: readonly number[]): Promise<RowContents> {
  const shape = imageShape(source.shape);
  const found: RowContent[] = [];
  for (const row of rows) {
    const values = await source.read(row, 1);
    const id = source.images?.[row];
    found.push({
      row,
      ...(id !== undefined && { id }),
      ...(shape
        ? { image: imageUri(values, shape, rangeOf(source.dtype, values)) }
        : { values: Array.from(values.subarray(0, MAX_COLUMNS)) }),
    });
  }
  return { names: source.names?.slice(0, MAX_COLUMNS) ?? null, rows: found };
}

/** That of bytes, or of the numbers in the row. */
function rangeOf(dtype: string, values: Float32Array): [number, number] {
  if (dtype === 'uint8') return [0, 255];
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/** For a text that has to be decoded first nobody waits longer, ms; and what is sent of it, characters. */
const [TEXT_MS, MOST_OF_TEXT] = [2000, 1000];

/** Single rows of the data; null: they cannot be read. `texts`: what describes them. */
export function addRows(
  app: FastifyInstance,
  source: () => Promise<Source | null>,
  texts: () => Promise<Pick<KeptTexts, 'at'> | null> = async () => null,
): void {
  app.get<{ Querystring: { rows?: unknown } }>('/api/rows', async ({ query }, reply) => {
    const raw = await source();
    if (!raw) return reply.code(204).send();
    const rows = rowNumbers(query.rows, raw.rows);
    if (!rows)
      return reply.code(400).send({ error: `rows=0,1,… takes at most 24 numbers below ${raw.rows}` });
    const [content, kept] = await Promise.all([
      readRows(raw, rows),
      Promise.race([texts().catch(() => null), sleep(TEXT_MS, null, { ref: false })]),
    ]);
    const own = (await kept?.at(rows)) ?? [];
    return {
      ...content,
      rows: content.rows.map((row, i) => (own[i] ? { ...row, text: own[i].slice(0, MOST_OF_TEXT) } : row)),
    };
  });
}
