import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode } from 'fast-png';
import { imageShape, imageUri } from '../../data/images/folder.ts';
import type { Source } from '../../data/source.ts';
import { planTransform } from '../../data/transform.ts';
import { exemplarView, MOST_IMAGES } from '../../report/exemplars.ts';
import type { FittedModel } from '../../report/fitted-model.ts';
import { exemplarPicture } from '../../report/pictures/exemplars.ts';
import { pngOf } from '../../report/png.ts';
import { openRowReader } from '../../report/row-reader.ts';

/** The pixels of a data URI. */
const pixelsOf = (uri: string) => decode(Buffer.from(uri.replace('data:image/png;base64,', ''), 'base64'));

describe('the image of a row', () => {
  test('is known by the shape', () => {
    const grey = { height: 5, width: 6, channels: 1, planar: false };
    assert.deepEqual(imageShape([5, 6]), grey);
    assert.deepEqual(imageShape([5, 6, 1]), grey);
    assert.deepEqual(imageShape([5, 6, 3]), { ...grey, channels: 3 });
    assert.deepEqual(imageShape([3, 5, 6]), { ...grey, channels: 3, planar: true });
    for (const none of [undefined, [7], [2, 100], [5, 6, 2], [9, 9, 9], [1, 2, 3, 4]])
      assert.equal(imageShape(none), null, String(none));
  });

  test('has its pixels, in colour too', () => {
    const shape = { height: 4, width: 5, channels: 3, planar: false } as const;
    const values = Array.from({ length: 60 }, (_, i) => i * 4);
    const png = pixelsOf(imageUri(values, shape, [0, 255]));
    assert.deepEqual([png.width, png.height, png.channels], [5, 4, 3]);
    assert.deepEqual([...png.data], values);
    const planes = Array.from({ length: 60 }, (_, p) => values[(p % 20) * 3 + Math.floor(p / 20)]);
    assert.deepEqual([...pixelsOf(imageUri(planes, { ...shape, planar: true }, [0, 255])).data], values);
  });

  test('is scaled to the range and cut off there; a large one is thinned', () => {
    const small = { height: 4, width: 4, channels: 1, planar: false } as const;
    const { data } = pixelsOf(imageUri([-9, -1, 0, 1, ...Array(11).fill(0), 9], small, [-1, 1]));
    assert.deepEqual([...data.slice(0, 4), data.at(-1)], [0, 0, 128, 255, 255]);
    const large = { height: 200, width: 100, channels: 1, planar: false } as const;
    const thin = pixelsOf(
      imageUri(
        Array.from({ length: 20_000 }, (_, i) => Math.floor(i / 100)),
        large,
        [0, 255],
      ),
    );
    assert.deepEqual([thin.width, thin.height], [25, 50]);
    assert.deepEqual([thin.data[0], thin.data[25], thin.data.at(-1)], [0, 4, 196]);
  });
});

describe('exemplars', () => {
  const ROWS = 90;
  /** Clusters 0 and 1 are dark and bright images; the brightness of each differs a little from row to row. */
  const brightness = (row: number) => 100 * (row % 2) + 50 + (((row * 37) % 45) - 22);
  const source: Source = {
    rows: ROWS,
    dim: 16,
    dtype: 'uint8',
    shape: [4, 4],
    read: async (start, count) =>
      Float32Array.from({ length: count * 16 }, (_, i) => brightness(start + Math.floor(i / 16))),
    stored: () => assert.fail('not asked for'),
    close() {},
  };
  const variance = 1000;
  const covariance = new Float64Array(256);
  for (let j = 0; j < 16; j++) covariance[j * 17] = variance;
  const moments = {
    rows: ROWS,
    mean: new Float64Array(16).fill(100),
    covariance,
    min: new Float64Array(16),
    max: new Float64Array(16).fill(200),
  };
  const { transform } = planTransform('standard', moments, null);
  const fitted: FittedModel = {
    transform,
    mixture: {
      k: 2,
      d: 16,
      covariance: 'full',
      weights: Float64Array.of(0.5, 0.5),
      means: [-50, 50].map((shift) => new Float64Array(16).fill(shift / Math.sqrt(variance))),
      covariances: [covariance, covariance],
    },
    rows: [45, 45],
    counted: true,
    // Logits −x and x of the first column.
    net: [
      {
        rows: 16,
        cols: 2,
        weights: Float32Array.from({ length: 32 }, (_, i) => (i < 2 ? 2 * i - 1 : 0)),
        bias: new Float32Array(2),
      },
    ],
  };
  const reader = () => openRowReader(source, fitted, null);
  const images = { source, shape: imageShape(source.shape)! };

  test('are the nearest rows of each cluster, nearest first', async () => {
    const view = await exemplarView({
      fitted,
      reader: reader(),
      source,
      images,
      decode: null,
      seed: 1n,
      typical: null,
    });
    assert.deepEqual(view.range, [0, 255]);
    assert.equal(view.k, 2);
    for (const { cluster, images: found, decoded } of view.clusters) {
      const centre = 50 + 100 * cluster;
      const distances = Array.from({ length: ROWS }, (_, row) => row)
        .filter((row) => row % 2 === cluster)
        .map((row) => Math.abs(brightness(row) - centre))
        .sort((a, b) => a - b);
      assert.deepEqual(
        found.map((values) => Math.abs(values[0] - centre)),
        distances.slice(0, MOST_IMAGES),
      );
      assert.equal(decoded, null);
    }
    const svg = exemplarPicture(view);
    assert.equal(svg.match(/<image /g)?.length, 2 * MOST_IMAGES);
    assert.doesNotMatch(svg, /decoded|NaN/);
    assert.ok((await pngOf(svg)).length > 1000);
  });

  test('with a decoder, the decoded mean of the rows’ codes too', async () => {
    const decode = (codes: Float32Array) => codes.map((value) => value + 1);
    const view = await exemplarView({
      fitted,
      reader: reader(),
      source,
      images,
      decode,
      seed: 1n,
      typical: null,
    });
    for (const { cluster, decoded } of view.clusters) {
      const own = Array.from({ length: ROWS }, (_, row) => row).filter((row) => row % 2 === cluster);
      const mean = own.reduce((sum, row) => sum + brightness(row), 0) / own.length;
      assert.ok(Math.abs(decoded![5] - mean - 1) < 1e-4);
    }
    assert.equal(exemplarPicture(view).match(/<image /g)?.length, 2 * MOST_IMAGES + 2);
  });
});
