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

  test('is not squeezed by a cluster far from all others, whose number is at the edge', () => {
    const labels = Int32Array.from({ length: 180 }, (_, i) => i % 6);
    const at = (turn: (a: number) => number) =>
      Float64Array.from(labels, (c, i) => (c === 5 ? 900 : 5 * turn(c)) + turn(i) / 2);
    const own = { x: at(Math.cos), y: at(Math.sin), cluster: labels, row: Float64Array.from(labels.keys()) };
    const svg = mapPicture({ points: own }, null);
    const places = [...svg.matchAll(/<g class="number"><path d="M([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [
      Number(x),
      Number(y),
    ]);
    assert.equal(places.length, 6);
    const xs = places.map(([x]) => x);
    assert.ok(Math.max(...xs) - Math.min(...xs) > 300, `spread over ${xs}`);
    assert.ok(
      places.every(([x, y]) => x > 10 && x < 590 && y > 10 && y < 550),
      'all within',
    );
    assert.equal(places.filter(([x, y]) => x > 570 && y < 30).length, 1, 'one in the corner');
    const near = xs.toSorted((a, b) => a - b).slice(0, 5);
    assert.ok(near[4] - near[0] > 200, `the others over ${near}`);
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
