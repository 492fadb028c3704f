import { yieldToEventLoop } from '../../base/slices.ts';
import type { Latency, Source } from '../source.ts';

/** Consecutive rows. */
export interface Span {
  readonly start: number;
  readonly count: number;
}

/** Of a file: a gap of this size is read faster than with another system call. */
const FROM_DISK: Latency = { gapBytes: 1 << 14, spanBytes: 1 << 18, aheadBytes: 0, requests: 1 };

/**
 * The rows of each span, in the given order; the caller may modify them. Spans that are close to each other are read at once, and over a
 * network, later ones are under way while the caller uses earlier ones. Rows are valid until the next are asked for: a new array for each
 * would keep the garbage collector busy.
 */
export async function* readSpans(source: Source, spans: readonly Span[]): AsyncGenerator<Float32Array> {
  const { dim, latency = FROM_DISK } = source;
  const groups = [...neighbours(spans, 4 * dim, latency)];
  let next = 0;
  for await (const rows of latency === FROM_DISK
    ? inTurn(source, groups.map(hullOf))
    : ahead(source, groups.map(hullOf), latency)) {
    const group = groups[next++];
    for (const { start, count } of group) {
      const at = (start - group[0].start) * dim;
      yield rows.subarray(at, at + count * dim);
    }
  }
}

/** Groups spans that are in the order of the file and are read at once, together with the gaps between them. */
function* neighbours(
  spans: readonly Span[],
  rowBytes: number,
  { gapBytes, spanBytes }: Latency,
): Generator<Span[]> {
  let group: Span[] = [];
  for (const span of spans) {
    const last = group.at(-1);
    const gap = last ? (span.start - last.start - last.count) * rowBytes : 0;
    const total = last ? (span.start + span.count - group[0].start) * rowBytes : 0;
    if (gap < 0 || gap > gapBytes || total > spanBytes) {
      yield group;
      group = [];
    }
    group.push(span);
  }
  if (group.length) yield group;
}

/** From the first span of a group to the end of its last one. */
function hullOf(group: Span[]): Span {
  const [first, last] = [group[0], group.at(-1)!];
  return { start: first.start, count: last.start + last.count - first.start };
}

/** Reads one span after the other, into the same memory. */
async function* inTurn(source: Source, spans: Span[]): AsyncGenerator<Float32Array> {
  let memory = new Float32Array();
  for (const { start, count } of spans) {
    const length = count * source.dim;
    if (memory.length < length) memory = new Float32Array(length);
    yield await source.read(start, count, memory.subarray(0, length));
  }
}

/** Reads several spans at a time. */
async function* ahead(
  source: Source,
  spans: Span[],
  { aheadBytes, requests }: Latency,
): AsyncGenerator<Float32Array> {
  const pending: Promise<Float32Array>[] = [];
  let next = 0;
  let bytes = 0;
  const isRoom = () => !pending.length || (bytes < aheadBytes && pending.length < requests);
  for (const { count } of spans) {
    while (next < spans.length && isRoom()) {
      const reading = source.read(spans[next].start, spans[next].count);
      // It is awaited later, or, if the caller stops before, never.
      reading.catch(() => {});
      pending.push(reading);
      bytes += spans[next++].count * source.dim * 4;
    }
    yield await pending.shift()!;
    bytes -= count * source.dim * 4;
  }
}

/** The rows of these numbers, ascending, as they are in the file: [n,D]. */
export async function rowsAt(source: Source, rows: readonly number[]): Promise<Float32Array> {
  const { dim } = source;
  const values = new Float32Array(rows.length * dim);
  const spans = rows.map((start) => ({ start, count: 1 }));
  let at = 0;
  for await (const row of readSpans(source, spans)) {
    values.set(row, at);
    at += dim;
    await yieldToEventLoop();
  }
  return values;
}
