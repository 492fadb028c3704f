import { setImmediate } from 'node:timers/promises';
import { readSpans } from '../data/remote/read-ahead.ts';
import type { Source } from '../data/source.ts';
import type { Block } from '../model/layout.ts';

/**
 * Reads blocks in the given order and yields each with its raw rows, which the caller may modify. They are valid until the next are
 * asked for: a new array for each would keep the garbage collector busy.
 */
export type ReadBlocks = (blocks: Block[]) => AsyncGenerator<[Block, Float32Array]>;

/** How long rows may stream before the event loop serves the sockets. */
const YIELD_AFTER_MS = 50;
/** Bytes of rows that one `fetch` asks for. */
const FETCH_BYTES = 1 << 20;

/** Reads blocks from the data file, those that are close to each other at once. */
export function fileBlocks(source: Source): ReadBlocks {
  return async function* (blocks) {
    let yieldedAt = performance.now();
    let next = 0;
    for await (const rows of readSpans(source, blocks)) {
      yield [blocks[next++], rows];
      if (performance.now() - yieldedAt > YIELD_AFTER_MS) {
        await setImmediate();
        yieldedAt = performance.now();
      }
    }
  };
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
