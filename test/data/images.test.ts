import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { encode } from 'fast-png';
import sharp, { type Sharp } from 'sharp';
import { inOrder, problemOf } from '../../data/images/images.ts';
import { openSource } from '../../data/open.ts';
import type { ImageOptions } from '../../data/open-options.ts';
import { readLabels } from '../../run/labels.ts';
import { readImageList } from '../../run/row-files.ts';
import { runFiles } from '../../run/run-files.ts';
import { asNobody, refuses, scratchFolder } from './files.ts';

const { folder: scratch } = scratchFolder();
let folders = 0;

/** A folder with these files. */
function folderOf(files: Record<string, Uint8Array | string>): string {
  const folder = join(scratch, `images-${folders++}`);
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

const png = (width: number, values: number[], channels: 1 | 2 | 3 | 4 = 1, depth: 8 | 16 = 8) =>
  encode({
    width,
    height: values.length / width / channels,
    data: depth === 8 ? Uint8Array.from(values) : Uint16Array.from(values),
    channels,
    depth,
  });
const jpeg = (width: number, values: number[], change = (image: Sharp) => image) => {
  const raw = { width, height: values.length / width, channels: 1 } as const;
  const image = sharp(Buffer.from(values), { raw }).toColourspace('b-w');
  return change(image).jpeg({ quality: 100 }).toBuffer();
};
const noise = (count: number) => Array.from({ length: count }, (_, i) => (i * 7919) % 251);

/** What opening a folder gives, and what was said meanwhile. */
async function opened(folder: string, options: Partial<ImageOptions> = {}) {
  const warnings: string[] = [];
  const lines: string[] = [];
  const images = {
    ...{ size: null, skipBad: false, ...options },
    warn: (message: string) => void warnings.push(message),
    log: (line: string) => void lines.push(line),
  };
  const source = await openSource(folder, { images });
  const rows = [...(await source.read(0, source.rows))];
  source.close();
  return { source, rows, warnings, lines, names: source.images!, shape: source.shape };
}

const near = (actual: number[], expected: number[], tolerance: number) =>
  assert.ok(
    actual.length === expected.length && actual.every((v, i) => Math.abs(v - expected[i]) <= tolerance),
    `${actual} instead of ${expected}`,
  );

describe('a folder of images', () => {
  test('is a row for each, by its path, in the order of code units', async () => {
    const [a, b, c, d] = [0, 10, 20, 30].map((v) => png(2, [v, v + 1, v + 2, v + 3, v + 4, v + 5]));
    const folder = folderOf({
      'b/z.png': a,
      'b.png': b,
      'a/2.PNG': c,
      'a/10.png': d,
      'B.Png': a,
      'a/notes.txt': 'x',
      'ä.png': b,
      '.hidden.png': 'x',
      '.thumbnails/x.png': 'x',
    });
    const { names, rows, shape, source, warnings } = await opened(folder);
    assert.deepEqual(names, ['B.Png', 'a/10.png', 'a/2.PNG', 'b.png', 'b/z.png', 'ä.png']);
    assert.deepEqual([source.rows, source.dim, source.dtype, shape], [6, 6, 'uint8', [3, 2]]);
    assert.deepEqual(
      rows,
      [0, 30, 20, 10, 0, 10].flatMap((v) => [v, v + 1, v + 2, v + 3, v + 4, v + 5]),
    );
    assert.deepEqual(warnings, []);
  });

  test('JPEG, and PNG of 16 bits and of a palette', async () => {
    const values = [0, 50, 100, 150, 200, 255];
    const photo = await jpeg(3, values);
    const deep = values.map((v) => 257 * v);
    const folder = folderOf({ 'a.jpg': photo, 'b.jpeg': photo, 'c.png': png(3, deep, 1, 16) });
    const { rows, shape } = await opened(folder);
    assert.deepEqual(shape, [2, 3]);
    near(rows, [...values, ...values, ...values], 2);
    const raw = { width: 2, height: 1, channels: 3 } as const;
    const palette = await sharp(Buffer.from([255, 0, 0, 0, 0, 255]), { raw })
      .png({ palette: true })
      .toBuffer();
    const colour = png(2, [65535, 0, 0, 0, 0, 65535], 3, 16);
    const colours = await opened(folderOf({ 'a.png': palette, 'b.png': colour }));
    assert.deepEqual(colours.shape, [1, 2, 3]);
    assert.deepEqual(colours.rows, [255, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 255]);
  });

  test('transparent pixels are white', async () => {
    const grey = await opened(folderOf({ 'a.png': png(2, [10, 255, 10, 0], 2) }));
    assert.deepEqual(grey.shape, [1, 2]);
    assert.deepEqual(grey.rows, [10, 255]);
    const colour = await opened(folderOf({ 'a.png': png(2, [10, 20, 30, 255, 10, 20, 30, 0], 4) }));
    assert.deepEqual(colour.shape, [1, 2, 3]);
    assert.deepEqual(colour.rows, [10, 20, 30, 255, 255, 255]);
  });

  test('is turned as EXIF says', async () => {
    const turned = await jpeg(3, [0, 50, 100, 150, 200, 255], (image) =>
      image.withExif({ IFD0: { Orientation: '6' } }).withMetadata({ orientation: 6 }),
    );
    const { shape, rows } = await opened(folderOf({ 'a.jpg': turned }), { channels: 1 });
    assert.deepEqual(shape, [3, 2]);
    near(rows, [150, 0, 200, 50, 255, 100], 3);
  });

  test('grey and coloured ones: all have three channels, and a warning says so', async () => {
    const folder = folderOf({ 'a.png': png(1, [7]), 'b.png': png(1, [1, 2, 3], 3), 'c.png': png(1, [9]) });
    const { shape, rows, warnings } = await opened(folder);
    assert.deepEqual(shape, [1, 1, 3]);
    assert.deepEqual(rows, [7, 7, 7, 1, 2, 3, 9, 9, 9]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /images-\d+: 2 of 3 images are grey/);
    const grey = await opened(folder, { channels: 1 });
    assert.deepEqual(grey.shape, [1, 1]);
    assert.deepEqual(grey.rows, [7, 2, 9]);
    assert.match(grey.warnings[0], /1 of 3 images have colours and were made grey/);
  });

  test('of different sizes: refused, unless they are scaled', async () => {
    const folder = folderOf({
      'a.png': png(8, noise(64)),
      'b.png': png(8, noise(64)),
      'odd/c.png': png(10, noise(60)),
    });
    await refuses(
      () => opened(folder),
      `${folder}: images have different sizes: odd/c.png is 10 × 6, 2 of 3 are 8 × 8 (width × height)`,
      '--image-size',
    );
    const { shape, rows } = await opened(folder, { size: '4x2' });
    assert.deepEqual([shape, rows.length], [[2, 4], 24]);
    assert.deepEqual(rows.slice(0, 8), rows.slice(8, 16));
    const flat = await opened(folderOf({ 'a.png': png(9, Array(81).fill(77)) }), { size: '4x4' });
    assert.deepEqual(flat.rows, Array(16).fill(77));
  });

  test('too large to be rows', async () => {
    const large = await sharp({ create: { width: 1200, height: 900, channels: 3, background: '#123' } })
      .png()
      .toBuffer();
    const folder = folderOf({ 'a.png': large });
    await refuses(() => opened(folder), '1200 × 900', '3,240,000 numbers', '--image-size 64');
    assert.deepEqual((await opened(folder, { size: '2x1' })).rows, [17, 34, 51, 17, 34, 51]);
  });
});

describe('images that cannot be decoded', async () => {
  const good = png(40, noise(1600));
  const photo = await jpeg(40, noise(1600));
  const bomb = Buffer.from(good);
  bomb.writeUInt32BE(200_000, 16);
  bomb.writeUInt32BE(200_000, 20);
  bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
  const bad: Record<string, [Uint8Array | string, RegExp]> = {
    'b/bomb.png': [bomb, /^more than 100,000,000 pixels$/],
    'b/cut.jpg': [photo.subarray(0, photo.length >> 1), /premature end/],
    'b/cut.png': [good.subarray(0, good.length >> 1), /error/],
    'b/empty.png': ['', /^is empty/],
    'b/head.png': [good.subarray(0, 20), /./],
    'b/line\nbreak.png': [good, /control characters/],
    'b/text.jpg': ['hello, this is text', /^neither PNG nor JPEG$/],
    'b/vector.png': ['<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>', /neither/],
  };
  const files = { 'a/1.png': good, 'c/2.jpg': photo };

  for (const [name, [content, reason]] of Object.entries(bad))
    test(`${JSON.stringify(name)}: named with the reason, or left out`, async () => {
      const folder = folderOf({ ...files, [name]: content });
      let message = '';
      await assert.rejects(opened(folder), (error: Error) => {
        message = error.message;
        return error.name === 'UserError';
      });
      const shown = name.replace('\n', '\ufffd');
      const start = `${folder}: 1 of 3 images cannot be decoded: ${shown} (`;
      assert.ok(message.startsWith(start) && message.includes('--skip-bad'), message);
      assert.match(message.slice(start.length).replace(/\): repair .*$/, ''), reason);
      const { names, rows, warnings, lines } = await opened(folder, { skipBad: true });
      assert.deepEqual(names, ['a/1.png', 'c/2.jpg']);
      assert.deepEqual(rows.slice(0, 1600), noise(1600));
      assert.equal(rows.length, 3200);
      assert.deepEqual([warnings.length, lines], [1, []], 'decoded a second time');
      assert.ok(warnings[0].startsWith(start) && warnings[0].endsWith(': left out'), warnings[0]);
    });

  describe('have no say in the size and the colours of the others', async () => {
    const grey = png(64, noise(4096));
    const of = async (width: number, channels: 1 | 3) => {
      const raw = { width, height: width, channels } as const;
      const image = sharp(Buffer.from(noise(width * width * channels)), { raw });
      return (channels === 1 ? image.toColourspace('b-w') : image).jpeg({ quality: 100 }).toBuffer();
    };
    const cut = (image: Buffer) => image.subarray(0, image.length - 500);
    const [colour, large] = [await of(64, 3), await of(80, 1)];
    const skip = async (files: Record<string, Uint8Array>, options = {}) => {
      const { shape, names, warnings } = await opened(folderOf(files), { skipBad: true, ...options });
      return { shape, names: names.join(' '), warnings: warnings.length };
    };

    test('one of other colours', async () => {
      const files = { 'a.jpg': cut(colour), 'b.png': grey, 'c.png': grey };
      const expected = { shape: [64, 64], names: 'b.png c.png', warnings: 1 };
      assert.deepEqual(await skip(files), expected);
      assert.deepEqual(await skip(files, { size: '8x8' }), { ...expected, shape: [8, 8] });
      const coloured = { shape: [64, 64, 3], names: 'b.png c.png d.jpg', warnings: 2 };
      assert.deepEqual(await skip({ ...files, 'd.jpg': colour }), coloured);
    });

    test('one of another size, and most', async () => {
      const expected = { shape: [64, 64], names: 'b.png c.png', warnings: 1 };
      const files = { 'a.jpg': cut(large), 'b.png': grey, 'c.png': grey };
      assert.deepEqual(await skip(files), expected);
      const most = { 'd.jpg': cut(large), 'e.jpg': cut(large) };
      assert.deepEqual(await skip({ ...files, ...most }), expected);
      await refuses(() => opened(folderOf(files)), '1 of 3 images cannot be decoded: a.jpg (');
      await refuses(() => skip({ ...files, 'f.jpg': large }), 'f.jpg is 80 × 80, 2 of 3 are 64 × 64');
    });

    test('are not counted', async () => {
      const files = { 'a.png': grey, 'b.jpg': colour, 'c.jpg': cut(colour), 'd.jpg': cut(await of(64, 1)) };
      const { warnings } = await opened(folderOf(files), { skipBad: true });
      assert.match(warnings[1], /: 1 of 2 images are grey/);
    });
  });

  test('now, but perhaps later: refused, and not kept', async () => {
    const folder = folderOf(files);
    const copies = () => readdirSync(join(scratch, 'cache')).filter((name) => name.endsWith('.npy')).length;
    await opened(folder);
    const before = copies();
    symlinkSync('nowhere.png', join(folder, 'gone.png'));
    await refuses(
      () => opened(folder, { skipBad: true }),
      `${join(folder, 'gone.png')} cannot be read: no such file`,
    );
    assert.equal(copies(), before);
    for (const message of [
      'vips: out of memory -- size == 300MB',
      'VipsJpeg: Insufficient memory (case 4)',
      'unix error: No space left on device',
    ])
      await refuses(() => problemOf('a.png', new Error(message)), 'a.png cannot be decoded now: ');
  });
});

describe('what is in a folder', () => {
  const image = png(1, [1]);

  test('links: to files, to folders elsewhere, in circles', async () => {
    const elsewhere = folderOf({ 'x.png': image, 'y/z.png': image });
    const folder = folderOf({ 'a/1.png': image });
    symlinkSync(join(folder, 'a/1.png'), join(folder, '0.png'));
    symlinkSync(elsewhere, join(folder, 'more'));
    symlinkSync(folder, join(folder, 'a/up'));
    symlinkSync(elsewhere, join(elsewhere, 'y/self'));
    symlinkSync('a', join(folder, 'again'));
    symlinkSync('loop', join(folder, 'loop'));
    const { names } = await opened(folder);
    assert.deepEqual(names, ['0.png', 'a/1.png', 'more/x.png', 'more/y/z.png']);
  });

  test('a folder that cannot be read', async () => {
    const folder = folderOf({ 'a/1.png': image, 'b/2.png': image });
    chmodSync(scratch, 0o755);
    chmodSync(join(folder, 'b'), 0);
    await asNobody(() =>
      refuses(() => opened(folder), `${join(folder, 'b')} cannot be read: permission denied`),
    );
  });
});

describe('decoded images', () => {
  const files = { 'a.png': png(1, [1]), 'b.png': png(1, [2]) };

  test('are kept until one of the files changes, or is called otherwise', async () => {
    const folder = folderOf(files);
    const check = async (rows: number[], decoded: boolean, options = {}) => {
      const found = await opened(folder, options);
      assert.deepEqual([found.rows, found.lines.length], [rows, Number(decoded)]);
    };
    await check([1, 2], true);
    await check([1, 2], false);
    await check([1, 2], true, { size: '1x1' });
    writeFileSync(join(folder, 'b.png'), png(1, [3]));
    await check([1, 3], true);
    renameSync(join(folder, 'b.png'), join(folder, '0.png'));
    await check([3, 1], true);
    writeFileSync(join(folder, 'c.png'), png(1, [4]));
    await check([3, 1, 4], true);
    rmSync(join(folder, 'a.png'));
    await check([3, 4], true);
    assert.ok(!readdirSync(join(scratch, 'cache')).some((name) => /\.(use|tmp)$/.test(name)));
  });

  test('are not those of a run: refused before they are decoded', async () => {
    const folder = folderOf({ ...files, 'c.png': 'bad' });
    const names = ['a.png', 'b.png'];
    const check = (expected: ImageOptions['expected'], skipBad = true) =>
      opened(folder, { expected, skipBad });
    for (const rows of [1, 4]) await refuses(() => check({ rows }), `3 images; the run had ${rows}`);
    await refuses(() => check({ rows: 2 }, false), '3 images; the run had 2');
    for (const other of [['a.png'], ['a.png', 'd.png']])
      await refuses(() => check({ rows: 2, names: other }), `${folder} has other images`);
    const { names: found, lines } = await check({ rows: 2, names });
    assert.deepEqual([found, lines.length], [names, 1]);
  });

  test('are few at a time if they are large', async () => {
    let [now, most] = [0, 0];
    const compute = async (name: string) => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
      return name;
    };
    const all: string[] = [];
    const names = ['1', '2', '3', '4', '5'];
    for await (const { result } of inOrder(names, compute, () => 30_000_000)) all.push(result);
    assert.deepEqual([most, all], [1, names]);
    for await (const _ of inOrder(names, compute, () => 10_000_000));
    assert.equal(most, Math.min(4, availableParallelism()));
  });

  test('can be stopped', async () => {
    const stopped = opened(folderOf(files), { signal: AbortSignal.abort() });
    await assert.rejects(stopped, { name: 'AbortError' });
  });
});

test('a list of images that no string can hold is refused', async () => {
  const run = folderOf({ 'images.txt': '' });
  truncateSync(join(run, 'images.txt'), 2 ** 29);
  await refuses(() => readImageList(runFiles(run)), 'images.txt has 536870912 bytes');
});

test('labels are the names of sub-folders', async () => {
  const image = png(1, [1]);
  const folder = folderOf({ 'dog/1.png': image, 'cat/x/2.png': image, 'cat/3.png': image });
  const { codes, names } = await readLabels(folder);
  assert.deepEqual([...codes], [0, 0, 1]);
  assert.deepEqual(names, ['cat', 'dog']);
  const kept = await readLabels(folder, { images: ['cat/3.png', 'dog/1.png'] });
  assert.deepEqual([...kept.codes], [0, 1]);
});
