import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Source } from '../../data/source.ts';
import type { Block } from '../../model/layout.ts';
import { fileBlocks, grouped, servedBlocks } from '../../worker/blocks.ts';
import { range } from './support.ts';

const DIM = 16;
/** Rows in a mebibyte. */
const MEBIBYTE = (1 << 20) / 4 / DIM;

/** `count` blocks of this many rows; each row contains its index in the file. */
const blocksOf = (count: number, rows: number): Block[] =>
  range(count).map((index) => ({ index, start: index * rows, count: rows }));
const rowsOf = ({ start, count }: Block) =>
  Float32Array.from({ length: count * DIM }, (_, i) => start * DIM + i);

/** A coordinator that answers on demand. */
function server(blocks: Block[]) {
  const asked: number[][] = [];
  const answers: { answer(): void; refuse(error: Error): void }[] = [];
  const fetch = (indices: number[]) => {
    asked.push(indices);
    return new Promise<Float32Array>((resolve, reject) => {
      answers.push({
        refuse: reject,
        answer: () => resolve(Float32Array.from(indices.flatMap((i) => [...rowsOf(blocks[i])]))),
      });
    });
  };
  return { asked, answers, fetch };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('grouped', () => {
  test('keeps order, drops nothing, and closes a group as soon as it is large enough', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), fc.integer({ min: 1, max: 50 }), (sizes, enough) => {
        const groups = [...grouped(sizes, (size) => size, enough)];
        assert.deepEqual(groups.flat(), sizes);
        const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
        for (const [i, group] of groups.entries()) {
          assert.ok(group.length > 0);
          assert.ok(sum(group.slice(0, -1)) < enough, 'closed too late');
          if (i < groups.length - 1) assert.ok(sum(group) >= enough, 'closed too early');
        }
      }),
    );
  });
});

describe('served blocks', () => {
  test('each block comes with its rows, in the requested order', async () => {
    const all = blocksOf(40, 300);
    const wanted = [3, 4, 9, 31, 12, 0].map((i) => all[i]);
    const { asked, answers, fetch } = server(all);
    const received: [Block, Float32Array][] = [];
    const reading = (async () => {
      for await (const each of servedBlocks(fetch, DIM)(wanted)) received.push(each);
    })();
    for (let i = 0; i < answers.length; i++) {
      answers[i].answer();
      await settled();
    }
    await reading;
    assert.deepEqual(asked, [[3, 4, 9, 31, 12, 0]]);
    assert.deepEqual(
      received,
      wanted.map((block) => [block, rowsOf(block)]),
    );
  });

  test('exactly one request is pending while the last answer is used', async () => {
    const all = blocksOf(4, MEBIBYTE);
    const { asked, answers, fetch } = server(all);
    const read = servedBlocks(fetch, DIM)(all);
    const first = read.next();
    assert.deepEqual(asked, [[0]]);
    answers[0].answer();
    await first;
    assert.deepEqual(asked, [[0], [1]]);
    await settled();
    assert.deepEqual(asked, [[0], [1]]);
    answers[1].answer();
    await read.next();
    assert.deepEqual(asked, [[0], [1], [2]]);
    answers[2].answer();
    await read.next();
    answers[3].answer();
    assert.deepEqual((await read.next()).value![0], all[3]);
    assert.deepEqual(await read.next(), { done: true, value: undefined });
    assert.equal(asked.length, 4);
  });

  // Node.js ends a process with an unhandled rejection.
  test('an error of the next request is passed on after the last answer was used', async () => {
    const all = blocksOf(2, MEBIBYTE);
    const { answers, fetch } = server(all);
    const read = servedBlocks(fetch, DIM)(all);
    const first = read.next();
    answers[0].answer();
    await first;
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    answers[1].refuse(new Error('gone'));
    await settled();
    await settled();
    process.off('unhandledRejection', listener);
    assert.deepEqual(unhandled, []);
    await assert.rejects(read.next(), /gone/);
  });
});

describe('file blocks', () => {
  /** The blocks as they come, and the ranges of rows that were read. */
  async function readAll(wanted: Block[]) {
    const reads: [number, number][] = [];
    const source: Source = {
      rows: 1e6,
      dim: DIM,
      dtype: 'float32',
      async read(start, count) {
        reads.push([start, count]);
        return rowsOf({ index: 0, start, count });
      },
      stored: () => assert.fail('not asked for'),
      close() {},
    };
    const received = [];
    for await (const [block, rows] of fileBlocks(source)(wanted)) {
      received.push([block, rows.slice()]);
      // The caller may modify its rows, but no others.
      rows.fill(Number.NaN);
    }
    assert.deepEqual(
      received,
      wanted.map((block) => [block, rowsOf(block)]),
    );
    return reads;
  }
  const all = blocksOf(1000, 16);

  test('come in the requested order', async () => {
    assert.deepEqual(await readAll([4, 1, 2].map((i) => all[i])), [
      [64, 16],
      [16, 32],
    ]);
  });

  test('that are close to each other are read in one call, including small gaps', async () => {
    assert.deepEqual(await readAll([0, 3, 4, 19].map((i) => all[i])), [[0, 320]]);
    assert.deepEqual(await readAll([0, 18].map((i) => all[i])), [
      [0, 16],
      [288, 16],
    ]);
  });

  test('are read a quarter of a mebibyte at a time', async () => {
    const reads = await readAll(all);
    assert.ok(reads.length > 1 && reads.every(([, count]) => count <= MEBIBYTE / 4));
    assert.deepEqual(await readAll([]), []);
    const large = blocksOf(3, MEBIBYTE);
    assert.deepEqual(
      await readAll(large),
      large.map(({ start, count }) => [start, count]),
    );
  });
});
