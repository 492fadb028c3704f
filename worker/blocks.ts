import { setImmediate } from 'node:timers/promises';
import type { Block } from '../data/layout.ts';
import type { Source } from '../data/source.ts';

/** Reads blocks in the order given, each with its raw rows, which become the reader's own. */
export type ReadBlocks = (blocks: Block[]) => AsyncGenerator<[Block, Float32Array]>;

/** How long rows may stream before the sockets get a turn. */
const TURN_MS = 50;
/** Bytes of rows asked for in one message. */
const FETCH_BYTES = 1 << 20;

/** From the data file itself. */
export function fileBlocks(source: Source): ReadBlocks {
  return async function* (blocks) {
    let turn = performance.now();
    for (const block of blocks) {
      yield [block, await source.read(block.start, block.count)];
      if (performance.now() - turn > TURN_MS) {
        await setImmediate();
        turn = performance.now();
      }
    }
  };
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
