// A gathered run in a file: the same again, and what it answers a page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD } from '../../../model/map-records.ts';
import { ofGathered, packedRun, unpackedRun } from '../../../page/drawing/run-model.ts';
import { contentsOf, K, sampledMap } from '../report/contents.ts';

const none = new AbortController().signal;

test('a run survives a file, and answers what was gathered; a page that is served asks for its map', async () => {
  const contents = { ...contentsOf(), whole: sampledMap(K, 300) };
  const inFile = (isServed: boolean) =>
    unpackedRun(JSON.parse(JSON.stringify(packedRun(contents, isServed))));
  const again = inFile(false);
  const { outcome, described, updates, view, whole } = contents;
  assert.equal(JSON.stringify(packedRun(again, false)), JSON.stringify(packedRun(contents, false)));
  assert.deepEqual([again.view!.xyz, again.view!.labels], [view!.xyz, view!.labels]);
  const source = ofGathered(again, async () => null);
  assert.deepEqual((await source.info())?.name, 'x');
  assert.deepEqual([await source.outcome(), await source.updates()], [outcome, updates]);
  assert.equal((await source.described())?.clusters.length, described!.clusters.length);
  const answer = await source.map();
  assert.ok(answer && answer !== 'later');
  assert.deepEqual(await answer.rows(0, 300), whole.sample);
  assert.deepEqual(await answer.rows(299, 300), whole.sample.subarray(-RECORD));
  const unknown = [
    answer.data(),
    answer.legend(0, none),
    answer.telling([1], none),
    answer.search('a', none),
  ];
  assert.deepEqual(await Promise.all(unknown), [null, null, null, null]);
  assert.equal(inFile(true).whole, null);
});
