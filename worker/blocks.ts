import { setImmediate } from 'node:timers/promises';
import type { Source } from '../data/source.ts';
import type { Block } from '../model/layout.ts';

/**
 * Reads blocks in the given order and yields each with its raw rows, which the caller may modify. They are valid until the next are
 * asked for: a new array for each would keep the garbage collector busy.
 */
export type ReadBlocks = (blocks: Block[]) => AsyncGenerator<[Block, Float32Array]>;

/** Nearby blocks are read in one system call if the gap between them and their total span are at most this, bytes. */
const MAX_GAP = 1 << 14;
const MAX_SPAN = 1 << 18;
/** How long rows may stream before the event loop serves the sockets. */
const YIELD_AFTER_MS = 50;
/** Bytes of rows that one `fetch` asks for. */
const FETCH_BYTES = 1 << 20;

/** Reads blocks from the data file, small ones that are close to each other in one system call. */
export function fileBlocks(source: Source): ReadBlocks {
  return async function* (blocks) {
    let yieldedAt = performance.now();
    let memory = new Float32Array();
    for (const group of neighbours(blocks, 4 * source.dim)) {
      const [first, last] = [group[0], group.at(-1)!];
      const count = last.start + last.count - first.start;
      const length = count * source.dim;
      if (memory.length < length) memory = new Float32Array(length);
      const rows = await source.read(first.start, count, memory.subarray(0, length));
      for (const block of group) {
        const at = (block.start - first.start) * source.dim;
        yield [block, rows.subarray(at, at + block.count * source.dim)];
        if (performance.now() - yieldedAt > YIELD_AFTER_MS) {
          await setImmediate();
          yieldedAt = performance.now();
        }
      }
    }
  };
}

/** Groups blocks that are in file order and are read in one call, together with the gaps between them. */
function* neighbours(blocks: Block[], rowBytes: number): Generator<Block[]> {
  let group: Block[] = [];
  for (const block of blocks) {
    const last = group.at(-1);
    const gap = last ? (block.start - last.start - last.count) * rowBytes : 0;
    const span = last ? (block.start + block.count - group[0].start) * rowBytes : 0;
    if (gap < 0 || gap > MAX_GAP || span > MAX_SPAN) {
      yield group;
      group = [];
    }
    group.push(block);
  }
  if (group.length) yield group;
}

/** Fetches blocks from the coordinator, a megabyte at a time. The next request is sent while the caller uses the last rows. */
export function servedBlocks(fetch: (blocks: number[]) => Promise<Float32Array>, dim: number): ReadBlocks {
  return async function* (blocks) {
    const requests = [...grouped(blocks, (block) => block.count * dim * 4, FETCH_BYTES)];
    const ask = (group: Block[] | undefined) => group && fetch(group.map((block) => block.index));
    let next = ask(requests[0]);
    for (const [i, group] of requests.entries()) {
      const rows = await next!;
      next = ask(requests[i + 1]);
      next?.catch(() => {}); // Awaited only after these rows; until then a rejection would be unhandled.
      let at = 0;
      for (const block of group) {
        yield [block, rows.slice(at, (at += block.count * dim))];
      }
    }
  };
}

/** Consecutive items until their sizes add up to at least `enough`. */
export function* grouped<T>(items: T[], size: (item: T) => number, enough: number): Generator<T[]> {
  let group: T[] = [];
  let sum = 0;
  for (const item of items) {
    group.push(item);
    sum += size(item);
    if (sum >= enough) {
      yield group;
      group = [];
      sum = 0;
    }
  }
  if (group.length) yield group;
}
