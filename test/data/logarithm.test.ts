import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loggedColumns, shownNames, withLogarithms } from '../../data/logarithm.ts';
import { openSource } from '../../data/open.ts';
import type { Source } from '../../data/source.ts';
import { generator } from '../../model/random.ts';
import { elements, npyFile, refuses, scratchFolder } from './files.ts';

const { put } = scratchFolder();
const npy = (values: number[]) =>
  put('rows.npy', npyFile('<f4', [values.length / 2, 2], elements('f4', values)));

describe('logarithms of columns', () => {
  test('stand in the place of their values, wherever rows are read', async () => {
    const path = npy([5, 1, -6, 2, 7, 4]);
    const source = await openSource(path, { logged: [1] });
    assert.deepEqual(source.logged, [1]);
    assert.deepEqual(await source.read(1, 2), Float32Array.of(-6, Math.LN2, 7, Math.log(4)));
    assert.equal((await source.stored(1))[1], Math.LN2);
    source.close();
    const wrong = await openSource(path, { logged: [0] });
    await refuses(
      () => wrong.read(0, 3),
      'row 1, column 0 (counted from 0) is -6, of which --log can take no',
    );
    wrong.close();
    const plain = await openSource(path);
    assert.equal(withLogarithms(plain, [], path), plain);
    plain.close();
  });

  test('are chosen by names, patterns or numbers', async () => {
    const path = put('named.csv', Buffer.from('age,pay low,pay high\n1,2,3\n4,0,6\n'));
    const source = await openSource(path);
    const chosen = (...choice: string[]) => loggedColumns(source, choice, path);
    assert.deepEqual(await chosen('pay high', 'age'), [0, 2]);
    assert.deepEqual(await chosen('3', '1', 'age'), [0, 2]);
    await refuses(() => chosen('pay*'), 'named.csv: row 1 (counted from 0), column pay low is 0, of which');
    await refuses(() => chosen('wage'), '--log: no column wage of ', '; there are age, pay low, pay high');
    assert.deepEqual(shownNames(withLogarithms(source, [0], path)), ['log(age)', 'pay low', 'pay high']);
    source.close();
    const array = await openSource(npy([1, 2, 3, 4]));
    await refuses(() => loggedColumns(array, ['3'], 'x.npy'), 'no names, but numbers from 1 to 2');
    array.close();
  });

  test('auto: of columns with a long tail, unless a row that was not looked at has none', async () => {
    const rng = generator('2', 'tails');
    const rows = 5000;
    const values = Float32Array.from({ length: 3 * rows }, (_, o) => (o % 3 ? rng.gamma(1) : rng.normal()));
    const source = (own: Float32Array): Source => ({
      ...{ rows, dim: 3, dtype: 'float32', close() {} },
      read: async (start, count) => own.slice(3 * start, 3 * (start + count)),
      stored: async (row) => Float64Array.from(own.subarray(3 * row, 3 * row + 3)),
    });
    assert.deepEqual(await loggedColumns(source(values), ['auto'], 'x'), [1, 2]);
    // All rows are read: of these three, two are not in the sample.
    for (const row of [0, 1, 2]) {
      const withZero = values.slice();
      withZero[3 * row + 2] = 0;
      assert.deepEqual(await loggedColumns(source(withZero), ['auto'], 'x'), [1]);
    }
  });
});
