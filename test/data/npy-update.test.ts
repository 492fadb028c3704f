import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CHUNK_ELEMENTS, createNpy, readNpy } from '../../data/npy.ts';
import { sha256 } from '../bench/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-npy-'));
after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

for (const [dtype, width] of [
  ['<i4', 1],
  ['<f4', 3],
  ['<f8', 7],
  ['<f4', CHUNK_ELEMENTS + 5],
] as const)
  test(`update of ${dtype} by rows of ${width} changes each once, in bounded pieces`, async () => {
    const rows = Math.floor((2.5 * CHUNK_ELEMENTS) / width) + 1;
    const values = Float64Array.from({ length: rows * width }, (_, i) => i % 1000);
    const file = createNpy(path('a.npy'), dtype, [rows, width]);
    file.write(values, 0);
    let seen = 0;
    await file.update(width, (piece) => {
      assert.equal(piece.length % width, 0);
      assert.ok(piece.length <= Math.max(width, CHUNK_ELEMENTS));
      seen += piece.length;
      for (let i = 0; i < piece.length; i++) piece[i] = 2 * piece[i] + 1;
    });
    const hash = await file.sha256();
    file.finish();
    assert.equal(seen, rows * width);
    assert.deepEqual(
      Float64Array.from(readNpy(path('a.npy')).data),
      values.map((value) => 2 * value + 1),
    );
    assert.equal(hash, sha256(path('a.npy')));
  });
