// Updates of runs with an encoder: it stays as it is, and the clusters of the latent vectors go on.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { predict } from '../../index.ts';
import { generator } from '../../model/random.ts';
import {
  changedCopy,
  dpmesh,
  eventsOf,
  jsonOf,
  labelsOf,
  ofType,
  refused,
  runFileOf,
  scratch,
  times,
  trainArgs,
} from './support.ts';
import { lineageOf, stateOf, updateArgs } from './updates.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const { normal, below } = generator(7n, 'images');
const [HEIGHT, WIDTH] = [5, 8];
const D = HEIGHT * WIDTH;
/** What six kinds of images are like. */
const kinds = times(6, () => times(D, () => 2 * normal()));
const all = times(2400, () => kinds[below(6)].map((x) => x + 0.4 * normal()));
/** Those of these numbers; changed by `change`. */
function images(name: string, from: number, to: number, change = (x: number, _pixel: number) => x) {
  const rows = all.slice(from, to).flatMap((row) => row.map(change));
  writeNpy(path(name), '<f4', [to - from, HEIGHT, WIDTH], rows);
  return path(name);
}
const first = images('first.npy', 0, 1200);
const second = images('second.npy', 1200, 1800);
const third = images('third.npy', 1800, 2400);
/** Clusters of the first run. */
let k: number;

/** Four numbers are clustered as Gaussians. */
const FLAGS = [
  ...['--encoder', 'autoencoder', '--encoder-hidden', 24, '--latent', 4, '--encoder-epochs', 6],
  ...['--encoder-batch', 16, '--encoder-steps', 8, '--split-merge-every', 3, '--no-http'],
] as const;
const encoderEpochs = (run: string) => ofType(eventsOf(run), 'encoder-epoch').length;

before(async () => {
  ({ k } = jsonOf(await dpmesh(trainArgs(first, path('run'), ...FLAGS, '--alternations', 1))));
  assert.ok(k >= 6, `${k} clusters`);
  jsonOf(await dpmesh(updateArgs(path('run'), second, path('run-a'), '--workers', 1)));
  jsonOf(await dpmesh(updateArgs(path('run-a'), third, path('run-b'), '--workers', 1)));
});

describe('an update of a run with an encoder', () => {
  test('keeps encoder, K and ids, and labels new rows as the run before does', async () => {
    const { ids, lineage, drift } = lineageOf(path('run-a'));
    assert.deepEqual(
      [...ids].sort(),
      times(k, (id) => id),
    );
    assert.deepEqual([lineage, drift.alarms], [[], []]);
    assert.ok(Math.abs(drift.residual) < 0.3, `${drift.residual}`);
    assert.equal(encoderEpochs(path('run-a')), 0);
    const before = await predict({ run: path('run'), data: second });
    const after = labelsOf(path('run-a')).data;
    const kept = before.labels.filter((label, i) => label === after[i]).length;
    assert.ok(kept >= 0.99 * before.rows, `${kept} of ${before.rows} rows`);
    assert.deepEqual([...(await predict({ run: path('run-a'), data: second })).labels], [...after]);
    const { data, result } = runFileOf(path('run-a'));
    assert.deepEqual([data.dim, data.codes.dim, result.dim], [D, 4, D]);
  });

  test('keeps latent vectors, not rows', () => {
    assert.deepEqual(readNpy(path('run/stream/sample.npy')).shape, [1200, 4]);
    assert.deepEqual(readNpy(path('run-b/stream/sample.npy')).shape, [2400, 4]);
    assert.deepEqual(readNpy(path('run-b/codes.npy')).shape, [600, 4]);
  });

  test('stands alone: the runs before may be deleted', async () => {
    const old = changedCopy(path('run'), path('old'), () => {});
    jsonOf(await dpmesh(updateArgs(old, second, path('new'))));
    rmSync(old, { recursive: true });
    jsonOf(await dpmesh(updateArgs(path('new'), third, path('newer'))));
    assert.deepEqual(stateOf(path('newer')), stateOf(path('run-b')));
    assert.deepEqual(
      [...(await predict({ run: path('newer'), data: third })).labels],
      [...labelsOf(path('newer')).data],
    );
  });

  test('has a report of the new images, and nothing to resume', async () => {
    const flags = ['--out', path('report')];
    assert.equal((await dpmesh(['plot', path('run-b'), ...flags])).code, 0);
    const svg = readFileSync(path('report/exemplars.svg'), 'utf8');
    assert.match(svg, /decoded/);
    assert.ok(svg.match(/<image /g)!.length >= 2 * k);
    assert.equal(jsonOf(await dpmesh(['resume', path('run-b'), '--json'])).k, k);
  });

  test('labels the rows before, too, with --relabel', async () => {
    jsonOf(await dpmesh(updateArgs(path('run-a'), third, path('relabelled'), '--relabel')));
    assert.deepEqual(stateOf(path('relabelled')), stateOf(path('run-b')));
    assert.deepEqual(readdirSync(path('relabelled/relabelled')).sort(), ['0.npy', '1.npy']);
    for (const [part, data] of [first, second].entries()) {
      const { labels } = await predict({ run: path('run-b'), data });
      assert.deepEqual(readNpy(path(`relabelled/relabelled/${part}.npy`)).data, labels);
    }
  });

  test('says so where the encoder does not know such images', async () => {
    const bright = images('bright.npy', 1200, 1500, (x, pixel) => (pixel < 12 ? 4 : x));
    const { stderr, code } = await dpmesh(updateArgs(path('run'), bright, path('bright')));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /the encoder rebuilds them with an error that is \d+ % larger/);
    assert.ok(ofType(eventsOf(path('bright')), 'drift')[0].alarms.includes('residual'));
  });
});

describe('dpmesh update refuses, of a run with an encoder', () => {
  const refuses = async (run: string, data: string, ...says: string[]) => {
    refused(await dpmesh(updateArgs(run, data, path('refused'))), ...says);
    assert.ok(!existsSync(path('refused')));
  };
  test('images of another size or shape, and rows that are in it already', async () => {
    writeNpy(path('large.npy'), '<f4', [10, 6, 8], new Float32Array(480));
    await refuses(path('run'), path('large.npy'), 'large.npy has images of shape (6, 8)', '(5, 8)');
    writeNpy(path('turned.npy'), '<f4', [10, 8, 5], new Float32Array(400));
    await refuses(path('run'), path('turned.npy'), 'turned.npy has images of shape (8, 5)');
    await refuses(path('run-b'), second, 'second.npy', 'update 1');
    await refuses(path('run-b'), first, 'the first run');
  });
  test('a run whose encoder is gone or damaged', async () => {
    const without = changedCopy(path('run'), path('without'), (at) =>
      rmSync(join(at, 'checkpoints'), { recursive: true }),
    );
    await refuses(without, second, 'without', 'encoder.ckpt', 'dpmesh train');
    const damaged = changedCopy(path('run'), path('damaged'), (at) =>
      writeFileSync(join(at, 'checkpoints', 'encoder.ckpt'), 'nothing'),
    );
    await refuses(damaged, second, 'damaged', 'cannot be updated', 'dpmesh train');
  });
});
