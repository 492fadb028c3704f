import { setImmediate } from 'node:timers/promises';
import type { Source } from '../data/source.ts';
import type { Block } from '../model/layout.ts';

/** Reads blocks in the order given, each with its raw rows, which become the reader's own. */
export type ReadBlocks = (blocks: Block[]) => AsyncGenerator<[Block, Float32Array]>;

/** What is not wanted is read along up to this, rather than calling the system once more; and so much in all, bytes. */
const WORTHWHILE_GAP = 1 << 14;
const SPAN_BYTES = 1 << 18;
/** How long rows may stream before the sockets get a turn. */
const TURN_MS = 50;
/** Bytes of rows asked for in one message. */
const FETCH_BYTES = 1 << 20;

/** From the data file itself: small blocks that lie near each other in one call of the system. */
export function fileBlocks(source: Source): ReadBlocks {
  return async function* (blocks) {
    let turn = performance.now();
    for (const group of neighbours(blocks, 4 * source.dim)) {
      const [first, last] = [group[0], group.at(-1)!];
      const rows = await source.read(first.start, last.start + last.count - first.start);
      for (const block of group) {
        const at = (block.start - first.start) * source.dim;
        yield [block, group.length === 1 ? rows : rows.slice(at, at + block.count * source.dim)];
        if (performance.now() - turn > TURN_MS) {
          await setImmediate();
          turn = performance.now();
        }
      }
    }
  };
}

/** Stretches of blocks in file order that are read at once, with what lies between them. */
function* neighbours(blocks: Block[], rowBytes: number): Generator<Block[]> {
  let group: Block[] = [];
  for (const block of blocks) {
    const last = group.at(-1);
    const gap = last ? (block.start - last.start - last.count) * rowBytes : 0;
    const span = last ? (block.start + block.count - group[0].start) * rowBytes : 0;
    if (gap < 0 || gap > WORTHWHILE_GAP || span > SPAN_BYTES) {
      yield group;
      group = [];
    }
    group.push(block);
  }
  if (group.length) yield group;
}

/** From the coordinator, by the megabyte, the next request on its way while the last answer is worked on. */
export function servedBlocks(fetch: (blocks: number[]) => Promise<Float32Array>, dim: number): ReadBlocks {
  return async function* (blocks) {
    const requests = [...grouped(blocks, (block) => block.count * dim * 4, FETCH_BYTES)];
    const ask = (group: Block[] | undefined) => group && fetch(group.map((block) => block.index));
    let next = ask(requests[0]);
    for (const [i, group] of requests.entries()) {
      const rows = await next!;
      next = ask(requests[i + 1]);
      next?.catch(() => {}); // Awaited only when these rows are done with: not unhandled until then.
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
