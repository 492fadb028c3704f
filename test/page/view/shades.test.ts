// Columns as shades: read once for all who wait, and no further than anybody waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowFields } from '../../../data/fields.ts';
import { type Shaded, shadeStore, shadesOf } from '../../../page/view/map-rows.ts';

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
