import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { groupSizes, nearCopies } from '../../../model/graph/copies.ts';
import { generator } from '../../../model/random.ts';
import { nearest } from './support.ts';

const D = 8;
const [NEIGHBOURS, MOST] = [20, 9];
const { normal } = generator(3n, 'copies');
const row = () => Array.from({ length: D }, normal);
const rowsOf = (count: number) => Array.from({ length: count }, row);
const near = (of: number[], sd: number) => of.map((value) => value + sd * normal());

function found(rows: number[][], k = NEIGHBOURS, most = MOST) {
  const { index, distance } = nearest(Float32Array.from(rows.flat()), rows[0].length, k);
  return nearCopies(index, distance, k, most);
}

/** The rows of each group of more than one. */
function groupsOf(first: Int32Array | null): number[][] {
  const groups = new Map<number, number[]>();
  first?.forEach((own, i) => {
    groups.set(own, [...(groups.get(own) ?? []), i]);
  });
  return [...groups.values()].filter(({ length }) => length > 1);
}

describe('near copies', () => {
  test('are groups of rows that are far nearer to each other than to others', () => {
    const rows = rowsOf(600);
    for (let i = 1; i < 6; i++) rows.push(near(rows[10], 0.02), near(rows[20], 0));
    rows.push(near(rows[30], 0.01));
    const of = (first: number, from: number, by: number, end: number) => [
      first,
      ...Array.from({ length: Math.ceil((end - from) / by) }, (_, i) => from + by * i),
    ];
    assert.deepEqual(groupsOf(found(rows)), [of(10, 600, 2, 610), of(20, 601, 2, 610), [30, 610]]);
  });

  test('are found where all rows have one', () => {
    const rows = rowsOf(300);
    rows.push(...rows.map((own) => near(own, 0.002)));
    const first = found(rows)!;
    const right = first.subarray(300).filter((own, i) => own === i);
    assert.ok(right.length > 280, `${right.length} of 300`);
  });

  test('are not found in rows without any', () => {
    for (const rows of [
      rowsOf(800),
      // A line and a plane, beside rows of more dimensions.
      [...rowsOf(600), ...rowsOf(150).map(([a]) => Array<number>(D).fill(a / 4))],
      [...rowsOf(600), ...rowsOf(200).map(([a, b]) => [a, b, 0, 0, 0, 0, 0, 0].map((v) => v / 4))],
      // Whole numbers, with as many neighbours at a distance as fit.
      Array.from({ length: 25 * 25 }, (_, i) => [i % 25, Math.floor(i / 25)]),
    ])
      assert.equal(found(rows), null);
  });

  test('are fewer rows than a cluster has', () => {
    const rows = rowsOf(500);
    const tight = (count: number, of: number[]) => Array.from({ length: count }, () => near(of, 0.01));
    assert.equal(found([...rows, ...tight(MOST, rows[0])]), null);
    assert.equal(found([...rows, ...tight(60, rows[0])]), null);
    assert.equal(found([...rows, ...Array(60).fill(rows[0])]), null, 'the same row');
    assert.equal(groupsOf(found([...rows, ...tight(MOST - 1, rows[0])]))[0].length, MOST);
    assert.equal(found([...rows, near(rows[0], 0.01)], NEIGHBOURS, 1), null);
  });

  test('are counted, in the order of first rows', () => {
    assert.deepEqual(groupSizes(Int32Array.of(0, 1, 0, 3, 1, 0)), Int32Array.of(3, 2, 1));
  });

  test('are not looked for among few rows', () => {
    for (const k of [1, 2]) assert.equal(found([row(), row(), ...rowsOf(k - 1)], k), null);
    assert.equal(found(Array(30).fill(row())), null);
  });
});
