import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowFields } from '../../../data/fields.ts';
import type { Source } from '../../../data/source.ts';
import { MOST_SELECTED, selectedRows, selectedText } from '../../../page/drawing/map.ts';
import {
  columnsOfSelection,
  remoteVersionOf,
  rowsOfAll,
  type Shaded,
  shadeStore,
  shadesOf,
  wordsOfSelection,
} from '../../../page/view/row-data.ts';
import type { RunFile } from '../../../run/run-file.ts';
import { uniform } from '../browser/world.ts';

test('texts at an address that changed between two runs of the same numbers are read again', () => {
  const address = 'https://there/t.csv';
  const run = (id: string, shown?: RunFile['data']['shown']) =>
    ({
      id,
      config: { data: address, texts: `${address}.txt` },
      data: { fingerprint: 'f', shown },
    }) as unknown as RunFile;
  const [one, other] = ['1', '2'].map((sha256) => ({ sha256, version: 'v' }));
  const version = (own: RunFile, from = address) => remoteVersionOf(own, from);
  assert.equal(version(run('a', { data: one })), version(run('b', { data: one })));
  assert.notEqual(version(run('a', { data: one })), version(run('b', { data: other })));
  const texts = `${address}.txt`;
  assert.notEqual(
    version(run('a', { data: one, texts: one }), texts),
    version(run('b', { data: one, texts: other }), texts),
  );
  // What changed during the run, and runs that do not say what they were shown.
  assert.notEqual(version(run('a', { data: null })), version(run('b', { data: null })));
  assert.notEqual(version(run('a')), version(run('b')));
});

// What sets selected rows apart: words against all texts, columns against all other rows; and rows in an address.

const OPTIONS = { bm25Weighting: false, reduceFrequentWords: false };

test('words of a selection are frequent in it, not in all rows; of a random part there are none', async () => {
  const random = uniform(3);
  const pick = (words: string) => words.split(' ')[Math.floor(random() * words.split(' ').length)];
  const texts = Array.from({ length: 3000 }, (_, row) =>
    Array.from({ length: 12 }, () =>
      pick(random() < 0.7 ? 'the and of with large small' : row < 200 ? 'harbour tide' : 'oven flour'),
    ).join(' '),
  );
  const store = { at: async (rows: readonly number[]) => rows.map((row) => texts[row]) };
  const all = rowsOfAll(3000, 1000, '0');
  const rows = Array.from({ length: 200 }, (_, row) => row);
  const words = await wordsOfSelection(store, [rows, all], OPTIONS);
  assert.deepEqual(words.slice(0, 2).sort(), ['harbour', 'tide']);
  assert.ok(!words.some((word) => /oven|flour|the$|and$/.test(word)), words.join());
  const part = all.filter((_, i) => i % 3 === 0);
  for (const none of [part, rowsOfAll(3000, 1000, '1'), all])
    assert.deepEqual(await wordsOfSelection(store, [none, all], OPTIONS), []);
  assert.ok(
    (await wordsOfSelection(store, [[0], all], OPTIONS)).every((word) =>
      word.split(' ').every((part) => texts[0].includes(part)),
    ),
  );
});

test('columns of a selection, by names or numbers', async () => {
  const random = uniform(4);
  const values = Float32Array.from({ length: 2000 }, (_, i) => random() + (i % 2 === 1 && i < 400 ? 5 : 0));
  const source = (names: string[] | null): Source => ({
    ...{ rows: 1000, dim: 2, dtype: 'float32', names },
    read: async (start, count) => values.slice(2 * start, 2 * (start + count)),
    stored: async () => new Float64Array(2),
    close() {},
  });
  const [own, rest] = [rowsOfAll(200, 100, '0'), rowsOfAll(1000, 500, '0').filter((row) => row >= 200)];
  assert.equal(await columnsOfSelection(source(['age', 'income']), [own, rest]), 'very high income');
  assert.equal(await columnsOfSelection(source(null), [own, rest]), 'very high column 2');
  assert.equal(await columnsOfSelection({ ...source(null), shape: [1, 2] }, [own, rest]), null);
  assert.equal(
    await columnsOfSelection(source(['age', 'income']), [rest.slice(0, 200), rest.slice(200)]),
    null,
  );
  assert.equal(await columnsOfSelection(source(['age', 'income']), [own, []]), null);
});

test('rows are the same again from their text; other texts are none', () => {
  for (const rows of [[0], [7], [0, 1, 35, 36, 4_000_000_000], rowsOfAll(4e9, MOST_SELECTED, '1')]) {
    assert.deepEqual(selectedRows(selectedText(rows), 2 ** 32), rows);
    assert.ok(selectedText(rows).length < 14_000);
  }
  for (const text of ['', '.', '1.', '1.0', '-1', '1e9999', 'A', '1 2', undefined, ['1'], '0.'.repeat(9)])
    assert.equal(selectedRows(text, 10), null, String(text));
  assert.equal(selectedRows('a', 10), null);
  assert.equal(selectedRows(selectedText(rowsOfAll(9000, MOST_SELECTED + 1, '0')), 9000), null);
});

// Columns as shades: read once for all who wait, and no further than anybody waits.

test('a column is read while anybody waits for it, and again once somebody asks after that', async () => {
  let begun = 0;
  let pieces = 0;
  const fields: RowFields = {
    fields: [{ name: 'a', kind: 'number' }],
    read: (_, use) =>
      use(async function* () {
        for (; pieces < 10; pieces++) yield [Float64Array.of(pieces)];
        pieces = 0;
      }),
  };
  const shaded = shadeStore((column, isWanted) => {
    begun++;
    return shadesOf(fields, column, 10, isWanted);
  });
  const untilPiece = (piece: number) => () => pieces < piece;
  const [one, other] = [3, 6].map((piece) => shaded(0, 10, untilPiece(piece)));
  await assert.rejects(one, /nobody waits/);
  await assert.rejects(other, /nobody waits/);
  assert.deepEqual([begun, pieces], [1, 6]);
  pieces = 0;
  const both: Shaded[] = await Promise.all([shaded(0, 10, untilPiece(2)), shaded(0, 10, () => true)]);
  assert.equal(both[0], both[1]);
  assert.deepEqual([both[0].shades[0], both[0].shades[9], begun], [0, 254, 2]);
  assert.equal(await shaded(0, 10, () => false), both[0]);
});
