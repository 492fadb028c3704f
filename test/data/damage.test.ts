import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encode } from 'fast-png';
import { UserError } from '../../base/user-error.ts';
import { openSource } from '../../data/open.ts';
import { unpackedHead } from '../../data/streams.ts';
import { readLabels } from '../../run/labels.ts';
import { fixture, zipOf } from './arrays/fixtures.ts';
import { elements, idxFile, npyFile, refuses, scratchFolder } from './files.ts';

/** Files whose formats have checksums: with a bit flipped anywhere, they have the same rows, or are refused. */

const fixtures: Record<string, string> = JSON.parse(
  readFileSync(new URL('tables/fixtures.json', import.meta.url), 'utf8'),
);
const { folder, put } = scratchFolder();
const numbers = Array.from({ length: 600 }, (_, i) => (i * 7919) % 251);
const csv = ['a,b,c', ...Array.from({ length: 200 }, (_, i) => numbers.slice(3 * i, 3 * i + 3).join())].join(
  '\n',
);
const lines = Array.from(
  { length: 200 },
  (_, i) => `{"a":${numbers[3 * i]},"b":${numbers[3 * i + 1]}}\n`,
).join('');
const array = npyFile('<f4', [200, 3], elements('f4', numbers));

const FILES: Record<string, Buffer> = {
  'x.csv.gz': gzipSync(csv),
  'x.jsonl.gz': gzipSync(lines),
  'idx.gz': gzipSync(idxFile(13, [200, 3], elements('f4', numbers, true))),
  'stored.npz': zipOf({ 'x.npy': array }),
  'deflated.npz': fixture('deflated.npz'),
  ...Object.fromEntries(
    Object.entries(fixtures)
      .filter(([name]) => name.startsWith('checked.'))
      .map(([name, text]) => [name, Buffer.from(text, 'base64')]),
  ),
};

async function rowsOf(path: string): Promise<Float32Array> {
  const source = await openSource(path, {
    array: path.endsWith('deflated.npz') ? 'x' : undefined,
    images: { size: null, skipBad: false, warn() {}, log() {} },
  });
  try {
    return await source.read(0, source.rows);
  } finally {
    source.close();
  }
}

/** Where flips of bits, all over the file, change its rows without an error. `put` writes a changed file and returns what to open. */
async function accepted(bytes: Buffer, put: (bytes: Buffer) => string): Promise<number[]> {
  const rows = await rowsOf(put(bytes));
  const found: number[] = [];
  for (let at = 0, i = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 60)), i++) {
    const flipped = Buffer.from(bytes);
    flipped[at] ^= 1 << (i % 8);
    const changed = await rowsOf(put(flipped)).catch((error) => {
      assert.ok(error instanceof UserError, error.stack);
      return rows;
    });
    if (Buffer.compare(Buffer.from(changed.buffer), Buffer.from(rows.buffer))) found.push(at);
  }
  return found;
}

for (const [name, bytes] of Object.entries(FILES))
  test(`flips of bits in ${name}`, async () => {
    assert.deepEqual(await accepted(bytes, (flipped) => put(name, flipped)), []);
  });

test('flips of bits in a PNG', async () => {
  const images = join(folder, 'images');
  mkdirSync(images);
  const png = encode({ width: 20, height: 30, channels: 1, depth: 8, data: Uint8Array.from(numbers) });
  put('images/a.png', png);
  const bytes = Buffer.from(png);
  assert.deepEqual(
    await accepted(bytes, (flipped) => {
      put('images/b.png', flipped);
      return images;
    }),
    [],
  );
});

test('compressed text that ends early', async () => {
  for (const name of ['x.csv.gz', 'x.jsonl.gz', 'checked.csv.zst', 'checked.jsonl.zst'])
    for (const cut of [1, 4, 8, 20])
      await refuses(() => rowsOf(put(name, FILES[name].subarray(0, -cut))), 'damaged or truncated');
  await refuses(() => readLabels(`${put('x.jsonl.gz', FILES['x.jsonl.gz'].subarray(0, -8))}:a`), 'damaged');
});

test('a small file that unpacks to gigabytes is unpacked piece by piece', async () => {
  // A frame of blocks that repeat one byte 128 KiB times.
  const block = [...Buffer.from(new Uint32Array([(1 << 1) | (0x20000 << 3)]).buffer).subarray(0, 3), 0x31];
  const path = put(
    'huge.csv.zst',
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, ...Array(16_000).fill(block).flat()]),
  );
  const before = process.resourceUsage().maxRSS;
  assert.match((await unpackedHead(path, 1000)).toString(), /^1{1000}/);
  assert.ok(process.resourceUsage().maxRSS - before < 200_000, 'kilobytes');
});

test('an Arrow file that claims absurd lengths is refused, or has the same rows, at once', async () => {
  const bytes = Buffer.from(fixtures['plain.feather'], 'base64');
  const rows = await rowsOf(put('whole.feather', bytes));
  // Lists and numbers of the metadata of its record batch, which is before its first column.
  const marker = Buffer.from('ffffffff', 'hex');
  const metadata = bytes.indexOf(marker, bytes.indexOf(marker) + 8);
  const length = bytes.readInt32LE(metadata + 4);
  let refused = 0;
  for (let at = metadata + 8; at < metadata + 8 + length; at += 4) {
    const claimed = Buffer.from(bytes);
    claimed.writeInt32LE(2 ** 31 - 16, at);
    try {
      assert.deepEqual(await rowsOf(put(`claims-${at}.feather`, claimed)), rows, `byte ${at}`);
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 10, `${refused}`);
});
