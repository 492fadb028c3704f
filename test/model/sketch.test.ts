import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { columnSketch, sketched, unsketched } from '../../model/principal-axes.ts';
import { generator } from '../../model/random.ts';
import { close } from './support.ts';

const [columns, width] = [3000, 512];
const sketch = columnSketch(5n, columns, width);
const normals = (n: number) => {
  const { normal } = generator(6n, 'sketch test', n);
  return Float32Array.from({ length: n }, normal);
};
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

describe('a sketch of columns', () => {
  test('nearly keeps the lengths of rows, dense or sparse', () => {
    for (let i = 0; i < 20; i++) {
      const row = normals(columns);
      if (i % 2) for (let j = 0; j < columns; j++) if (j % 50 !== i) row[j] = 0;
      const ratio = dot(sketched(sketch, row), sketched(sketch, row)) / dot(row, row);
      assert.ok(ratio > 0.7 && ratio < 1.3, `${ratio}`);
    }
  });

  test('weights of the sketch as weights of the columns', () => {
    const d = 3;
    const weights = normals(width * d);
    const row = normals(columns);
    const own = unsketched(sketch, weights, d);
    const y = sketched(sketch, row);
    for (let a = 0; a < d; a++) {
      const axis = Array.from({ length: width }, (_, p) => weights[p * d + a]);
      const direct = Array.from({ length: columns }, (_, j) => own[j * d + a]);
      close(dot(row, direct), dot(y, axis), 1e-3);
    }
  });
});
