// Runs on a folder of images: labels by sub-folder, bad ones left out, new images, a folder that changes, without the decoder.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import sharp from 'sharp';
import { dpmeshVersion } from '../../base/package.ts';
import { predict } from '../../library/predict-files.ts';
import { generator } from '../../model/random.ts';
import { gatherContents } from '../../page/report/gather.ts';
import { READ_FILES } from '../../run/read-files.ts';
import {
  changedCopy,
  changeRunFile,
  dpmesh,
  ENDLESS,
  easyData,
  eventsOf,
  jsonOf,
  labelsOf,
  ofType,
  QUICK,
  refused,
  runFileOf,
  scratch,
  startAndReach,
  trainArgs,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const SIDE = 12;

/** Images of upright and of lying bars in sub-folders of these names, half of them PNG, half JPEG. */
async function bars(name: string, count: number, side = SIDE): Promise<string> {
  const random = generator(5n, name);
  for (const kind of ['lying', 'upright']) mkdirSync(path(`${name}/${kind}`), { recursive: true });
  for (let i = 0; i < count; i++) {
    const isUpright = i % 2 === 1;
    const pixels = Buffer.alloc(side * side, 20).map((dark, p) => {
      const [y, x] = [Math.floor(p / side), p % side];
      const isLight = Math.abs((isUpright ? x : y) - side / 2) < side / 6;
      return dark + random.below(30) + (isLight ? 180 : 0);
    });
    const raw = { width: side, height: side, channels: 1 } as const;
    const image = sharp(pixels, { raw }).toColourspace('b-w');
    const file = path(`${name}/${isUpright ? 'upright' : 'lying'}/${i}.${i % 4 < 2 ? 'png' : 'jpg'}`);
    await (i % 4 < 2 ? image.png() : image.jpeg({ quality: 95 })).toFile(file);
  }
  return path(name);
}

const gaussian = ['--likelihood', 'gaussian', '--transform', 'pca:4', ...QUICK];
const linesIn = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);

describe('a run on a folder of images', () => {
  const run = path('run');
  let data: string;
  before(async () => {
    data = await bars('bars', 120);
    writeFileSync(join(data, 'lying/100a.png'), 'no image');
    const flags = ['--labels', `${data}/`, '--image-size', 10, '--skip-bad', '--workers', 2, ...gaussian];
    const { k, acc } = jsonOf(await dpmesh(trainArgs(data, run, ...flags)));
    assert.deepEqual([k, acc], [2, 1]);
  });

  test('says which row is which image, and which were left out', () => {
    const images = linesIn(join(run, 'images.txt'));
    assert.equal(images.length, 120);
    assert.deepEqual(images, [...images].sort());
    const labels = labelsOf(run).data;
    const kinds = new Set(images.map((image, row) => `${image.split('/')[0]} ${labels[row]}`));
    assert.equal(kinds.size, 2);
    const { data: about, files } = runFileOf(run);
    assert.deepEqual([about.rows, about.shape], [120, [10, 10]]);
    assert.ok('images.txt' in files);
    const [{ message }] = ofType(eventsOf(run), 'warning');
    assert.match(
      message,
      /1 of 121 images cannot be decoded: lying\/100a\.png \(neither PNG nor JPEG\): left out/,
    );
  });

  test('is drawn again, with the images nearest to the centres', async () => {
    const { code, stderr } = await dpmesh(['plot', '--run', run]);
    assert.equal(code, 0, stderr);
    assert.ok(!/left out|no points/.test(stderr), stderr);
    const html = readFileSync(join(run, 'report/report.html'), 'utf8');
    assert.match(html, /data:image\/png/);
    // Each cluster's card has those of clusters.json, and no single pixels.
    const { clusters } = JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
    for (const { apart, exemplars } of clusters) {
      assert.deepEqual(apart, []);
      for (const { row } of exemplars.slice(0, 8))
        assert.ok(
          html.includes(`id="row-${row}"`) && html.includes(`<use href="#row-${row}"/>`),
          `row ${row}`,
        );
    }
  });

  /** What is drawn of a copy of the run whose run.json names other inputs. */
  async function drawnWith(name: string, config: Record<string, string>) {
    const copy = changedCopy(run, path(name), (at) =>
      changeRunFile(at, (file) => Object.assign(file.config, config)),
    );
    return gatherContents(copy, { version: dpmeshVersion() }, READ_FILES);
  }

  test('is drawn with labels from another folder by the images of that one', async () => {
    const labels = await bars('labels', 119);
    mkdirSync(join(labels, 'third'));
    writeFileSync(join(labels, 'third/a.png'), '');
    const { classes, notes } = await drawnWith('labelled', { labels });
    assert.deepEqual([classes, notes.filter((note) => note.includes('labels'))], [3, []]);
  });

  test('does not make others decode another folder', async () => {
    const others: [string, number, RegExp][] = [
      ['more', 250, /more now has 250 images; the run had 120: the pictures show no points/],
      ['different', 130, /different has other images than the run had/],
    ];
    for (const [name, count, expected] of others) {
      const images = await bars(name, count);
      rmSync(join(images, 'lying/0.png'));
      if (name === 'more') writeFileSync(join(images, 'lying/0.png'), 'x');
      const copies = () => readdirSync(path('cache')).filter((file) => file.endsWith('.npy')).length;
      const before = copies();
      const { notes } = await drawnWith(`run-of-${name}`, { data: images });
      assert.match(notes.join('\n'), expected);
      assert.equal(copies(), before);
    }
  });

  test('labels its own images as before, and others by their size and colours', async () => {
    const [out, images] = [path('labels.npy'), path('images.txt')];
    const args = ['predict', '--run', run, '--data', data, '--out', out, '--images', images];
    refused(await dpmesh(args), '1 of 121 images cannot be decoded: lying/100a.png');
    const { code, stderr } = await dpmesh([...args, '--skip-bad']);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readFileSync(out), readFileSync(join(run, 'labels.npy')));
    assert.deepEqual(linesIn(images), linesIn(join(run, 'images.txt')));
    const large = await bars('large', 20, 30);
    await sharp(join(large, 'lying/0.png'))
      .tint('#f80')
      .toColourspace('srgb')
      .png()
      .toFile(join(large, 'lying/a.png'));
    const lines: string[] = [];
    const found = await predict({ run, data: large, log: (line) => void lines.push(line) });
    assert.equal(found.images!.length, 21);
    const own = linesIn(join(run, 'images.txt'));
    for (const [row, image] of found.images!.entries()) {
      const kind = image.split('/')[0];
      const same = own.findIndex((name) => name.startsWith(kind));
      assert.equal(found.labels[row], labelsOf(run).data[same], image);
    }
    assert.ok(lines.some((line) => line.includes('1 of 21 images have colours and were made grey')));
    const rows = { values: new Float32Array(100), columns: 100 };
    await assert.rejects(predict({ run, data: rows, images: path('none.txt') }), {
      message: /--images .* needs a folder of images/,
    });
  });
});

test('images of the size of their own: predict takes no others, and --labels needs sub-folders', async () => {
  const [data, run] = [await bars('own', 100), path('own-run')];
  jsonOf(await dpmesh(trainArgs(data, run, '--workers', 1, ...gaussian)));
  const args = ['predict', '--run', run, '--out', path('p.npy'), '--data'];
  refused(await dpmesh([...args, await bars('other', 4, 14)]), 'shape (14, 14)', 'rows of shape (12, 12)');
  writeFileSync(join(data, 'top.png'), readFileSync(join(data, 'lying/0.png')));
  refused(await dpmesh(trainArgs(data, path('none'), '--labels', data)), 'top.png has no label');
  refused(await dpmesh(trainArgs(join(data, 'top.png'), path('none'))), 'top.png has an unsupported format');
  refused(await dpmesh(trainArgs(data, join(data, 'runs'))), '--out', 'lies in the folder of images');
  await sharp(join(data, 'lying/0.png')).resize(9, 7).toFile(join(data, 'odd.png'));
  refused(
    await dpmesh(trainArgs(data, path('none'))),
    'odd.png is 9 × 7, 101 of 102 are 12 × 12',
    '--image-size',
  );
});

test('with an encoder: the images of the rows, not of the codes', async () => {
  const [data, run] = [await bars('encoded', 120), path('encoded-run')];
  const size = ['--encoder-hidden', '16', '--latent', 3, '--encoder-epochs', 4];
  const encoder = ['--encoder', 'autoencoder', ...size];
  jsonOf(await dpmesh(trainArgs(data, run, '--workers', 2, '--max-epochs', 5, ...encoder)));
  const { data: about } = runFileOf(run);
  assert.deepEqual([about.shape, about.dtype, about.codes.dim], [[SIDE, SIDE], 'uint8', 3]);
  assert.equal(linesIn(join(run, 'images.txt')).length, 120);
  assert.deepEqual((await predict({ run, data })).labels, labelsOf(run).data);
  const [more, updated] = [await bars('more-encoded', 60), path('encoded-run-2')];
  jsonOf(await dpmesh(['update', run, '--data', more, '--no-http', '--json']));
  assert.equal(linesIn(join(updated, 'images.txt')).length, 60);
  assert.deepEqual((await predict({ run: updated, data: more })).labels, labelsOf(updated).data);
  assert.match(readFileSync(join(updated, 'report/exemplars.svg'), 'utf8'), /decoded/);
  const large = ['update', run, '--data', await bars('large-encoded', 20, SIDE + 1), '--out', path('none')];
  refused(await dpmesh(large), 'large-encoded has images of shape (13, 13)');
});

test('flags for images need images', async () => {
  const { data } = easyData(folder, 'easy', 100);
  for (const flags of [['--image-size', 28], ['--skip-bad']])
    refused(
      await dpmesh(trainArgs(data, path('none'), ...flags)),
      `no folder of images, which ${flags[0]} is for`,
    );
});

test('a folder that has changed is not resumed', async () => {
  const [data, run] = [await bars('changing', 160), path('changing-run')];
  const running = await startAndReach(2, data, run, ...gaussian, ...ENDLESS);
  running.kill('SIGINT');
  await running.ended;
  writeFileSync(join(data, 'lying/0.png'), readFileSync(join(data, 'upright/1.png')));
  refused(await dpmesh(['resume', run, '--no-report']), `${data}`, 'changed');
  rmSync(join(data, 'lying/0.png'));
  refused(await dpmesh(['resume', run, '--no-report']), '159 rows', 'had 160');
});

test('without the decoder: says what to install', async () => {
  const hook = `export const resolve = (name, context, next) => {
    if (name === 'sharp') throw Object.assign(new Error("Cannot find package 'sharp'"), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(name, context);
  };`;
  const register = `import { register } from 'node:module';
register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)});`;
  writeFileSync(path('without.mjs'), register);
  const { code, stderr } = await dpmesh(trainArgs(await bars('few', 20), path('none')), {
    env: { NODE_OPTIONS: `--import=${path('without.mjs')}` },
  });
  assert.equal(code, 2, stderr);
  assert.match(
    stderr,
    /^dpmesh: .*few is a folder of images, which the package sharp decodes.*npm install sharp\n$/,
  );
});
