// The map of all rows at a server: as tiles, as a sample, not yet, and none.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify from 'fastify';
import { RECORD } from '../../model/map-tiles.ts';
import { type MapSource, ofSample } from '../../page/drawing/map.ts';
import { sampleOfMap } from '../../page/map.ts';
import { serveRun } from '../../page/routes.ts';
import { openMap } from '../../run/map-tiles.ts';
import { aboutMap, nameBeside } from '../../run/whole-map.ts';
import { scratchFolder } from '../data/files.ts';
import { mappedRun } from './report/mapped.ts';

const { folder } = scratchFolder();

test('a server has the map, its density and its tiles, and says which of them there are not', async () => {
  const run = mappedRun(join(folder, 'run'), Float32Array.of(0, 0, 1, 1, 2, 0), Int32Array.of(0, 1, 1));
  const saved = (await openMap({ run, rows: 3, k: 2 }))!;
  const sample = sampleOfMap({ about: aboutMap(saved.index, null, null), saved });
  const asked = (map: MapSource | 'later' | null) => {
    const app = fastify();
    serveRun(app, { map: async () => map, source: async () => null });
    return (path: string) => app.inject(`/api/map${path}`);
  };
  const ask = asked(ofSample(sample));
  const about = (await ask('')).json();
  assert.deepEqual(about.clusters, [
    { label: 0, name: 'cluster 0' },
    { label: 1, name: 'cluster 1' },
  ]);
  assert.equal(about.index.tiles.length, 1);
  const named = [...about.clusters, { label: 3, name: 'cluster of ships' }];
  assert.deepEqual(named.map(nameBeside), ['', '', 'cluster of ships']);
  assert.equal((await ask('/density')).rawPayload.length, 512 * 512);
  assert.equal((await ask('/rows?tile=0')).rawPayload.length, 3 * RECORD);
  for (const query of ['', '?tile=1', '?tile=-1', '?tile=x', '?tile=0.5', '?tile=__proto__'])
    assert.equal((await ask(`/rows${query}`)).statusCode, 404, query);
  const codes = async (map: MapSource | 'later' | null, ...paths: string[]) =>
    Promise.all(paths.map(async (path) => (await asked(map)(path)).statusCode));
  const paths = ['', '/rows?tile=0', '/density', '/data', '/legend?column=0'];
  assert.deepEqual(await codes(ofSample(sample), ...paths), [200, 200, 200, 204, 404]);
  assert.deepEqual(await codes('later', ...paths), [202, 404, 404, 204, 404]);
  assert.deepEqual(await codes(null, ...paths), [204, 404, 404, 204, 404]);
});
