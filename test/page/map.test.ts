// The map of all rows at a server: as a sample, not yet, and none.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify from 'fastify';
import { RECORD } from '../../model/map-records.ts';
import { type MapSource, ofSample } from '../../page/drawing/map.ts';
import { sampleOfMap } from '../../page/map.ts';
import { serveRun } from '../../page/routes.ts';
import { openMap } from '../../run/map-file.ts';
import { aboutMap, nameBeside } from '../../run/whole-map.ts';
import { scratchFolder } from '../data/files.ts';
import { mappedRun } from './report/mapped.ts';

const { folder } = scratchFolder();

test('a server has the map and its rows, and says which of them there are not', async () => {
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
  assert.equal(about.index.records, 3);
  const named = [...about.clusters, { label: 3, name: 'cluster of ships' }];
  assert.deepEqual(named.map(nameBeside), ['', '', 'cluster of ships']);
  assert.deepEqual(
    (await ask('/rows?from=1&to=3')).rawPayload,
    Buffer.from(sample.sample.subarray(RECORD, 3 * RECORD)),
  );
  for (const query of [
    '',
    '?from=0',
    '?from=0&to=4',
    '?from=2&to=2',
    '?from=-1&to=1',
    '?from=0&to=0.5',
    '?from=x&to=1',
    '?from=0&to=1&to=2',
  ])
    assert.equal((await ask(`/rows${query}`)).statusCode, 404, query);
  const codes = async (map: MapSource | 'later' | null, ...paths: string[]) =>
    Promise.all(paths.map(async (path) => (await asked(map)(path)).statusCode));
  const paths = ['', '/rows?from=0&to=3', '/data', '/legend?column=0'];
  assert.deepEqual(await codes(ofSample(sample), ...paths), [200, 200, 204, 404]);
  assert.deepEqual(await codes('later', ...paths), [202, 404, 204, 404]);
  assert.deepEqual(await codes(null, ...paths), [204, 404, 204, 404]);
});
