import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExemplarView } from '../../report/exemplars.ts';
import { mapPicture } from '../../report/pictures/map.ts';
import { pngOf } from '../../report/png.ts';

describe('the picture of the map', () => {
  const cluster = Int32Array.from({ length: 90 }, (_, i) => i % 3);
  const points = {
    x: Float64Array.from(cluster, (c, i) => 10 * c + Math.sin(i)),
    y: Float64Array.from(cluster, (c, i) => -3 * c + Math.cos(i)),
    cluster,
    row: Float64Array.from(cluster.keys()),
  };
  const shape = { height: 4, width: 4, channels: 1, planar: false } as const;
  const image = (value: number) => new Float32Array(16).fill(value);
  const exemplars: ExemplarView = {
    ...{ shape, range: [0, 255], k: 3 },
    clusters: [0, 1].map((cluster) => ({
      ...{ cluster, rows: 30, decoded: null },
      images: [1, 2, 3].map((i) => image(50 * i)),
      at: [1, 2, 3],
    })),
  };

  test('has all rows, and each cluster’s number', async () => {
    const svg = mapPicture({ points }, null);
    assert.equal(svg.match(/h0/g)?.length, 90);
    for (const number of [0, 1, 2]) assert.match(svg, new RegExp(`>${number}</text>`));
    assert.doesNotMatch(svg, /NaN|montage"/);
    assert.ok((await pngOf(svg)).length > 1000);
  });

  test('has a montage of each cluster with images, which can be reached by keyboard and is not on the still picture', async () => {
    const svg = mapPicture({ points }, exemplars);
    assert.equal(svg.match(/<image /g)?.length, 6);
    assert.equal(svg.match(/tabindex="0"/g)?.length, 2);
    assert.match(svg, /aria-label="Images of cluster 1"/);
    const [still, plain] = [await pngOf(svg), await pngOf(mapPicture({ points }, null))];
    assert.deepEqual(still, plain);
  });
});
