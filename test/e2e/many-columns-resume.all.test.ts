// Runs on rows of many columns that have not ended: what is drawn of them, and how they go on.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { dpmeshVersion } from '../../base/package.ts';
import { gatherContents } from '../../page/report/gather.ts';
import { type ClusterCheckpoint, decodeCheckpoint, encodeCheckpoint } from '../../run/checkpoint.ts';
import { READ_FILES } from '../../run/read-files.ts';
import {
  changedCopy,
  changeRunFile,
  checkpointsOf,
  dpmesh,
  embeddedData,
  eventsOf,
  jsonOf,
  MANY,
  ofType,
  resultHashes,
  resumed,
  scratch,
  thinData,
  times,
  undisturbedHashes,
  unfinish,
  writeRows,
} from './support.ts';

const EPOCHS = 12;
const ROWS = 600;
const folder = scratch();
const path = (name: string) => join(folder, name);
const FLAGS = [
  ...['--no-http', '--split-merge-every', 3, '--no-early-stop', '--max-epochs', EPOCHS],
  ...['--checkpoint-every', 0],
] as const;
const checkpointIn = (run: string, name: string) =>
  decodeCheckpoint(readFileSync(join(run, 'checkpoints', name))) as ClusterCheckpoint;

async function changeCheckpoints(run: string, change: (checkpoint: ClusterCheckpoint) => ClusterCheckpoint) {
  for (const name of checkpointsOf(run)) {
    const parts = await encodeCheckpoint(change(checkpointIn(run, name)));
    writeFileSync(join(run, 'checkpoints', name), Buffer.concat(parts));
  }
}

/** Of the first hundred rows there are copies. */
function withCopies() {
  const { rows } = embeddedData(folder, 'copied', ROWS);
  rows.copyWithin((ROWS - 100) * MANY, 0, 100 * MANY);
  return {
    data: writeRows(
      join(folder, 'copies.npy'),
      times(ROWS, (i) => rows.subarray(i * MANY, (i + 1) * MANY)),
    ),
  };
}

for (const [kind, of, d] of [
  ['graph', withCopies(), 40],
  ['gaussian', thinData(folder, 'thin', ROWS), 3],
] as const)
  describe(`a run on many columns: ${kind}`, () => {
    let expected: string[];
    before(async () => {
      expected = await undisturbedHashes(of.data, path(kind), ...FLAGS);
    });

    test('the checkpoint has the transform, with which an unfinished run is drawn', async () => {
      const run = changedCopy(path(kind), path(`${kind}-unfinished`), (at) =>
        unfinish(at, 'labels.npy', 'model', 'mixture'),
      );
      const newest = checkpointsOf(run).at(-1)!;
      const { transform, state } = checkpointIn(run, newest);
      assert.deepEqual([transform!.input, transform!.dim, state.mixture.d], [40, d, d]);
      assert.equal(state.graph === undefined, kind === 'gaussian');
      const { code, stdout, stderr } = await dpmesh(['plot', '--run', run]);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.endsWith(': clusters, map, k, losses\n'), stdout);
      assert.match(stderr, /^dpmesh: the run is not finished: clusters are those of epoch \d+[^\n]*\n$/);
      // The points are where their clusters are.
      const { view } = await gatherContents(run, { version: dpmeshVersion() }, READ_FILES);
      const { centres, covariances, xyz, k, labels } = view!;
      assert.equal(k, state.mixture.k);
      for (let c = 0; c < k; c++) {
        // By their places, not their clusters: after a split, the net may not have learned these yet.
        const isNear = (i: number, axis: number) =>
          Math.abs(xyz[3 * i + axis] - centres[3 * c + axis]) < 2 * Math.sqrt(covariances[9 * c + 4 * axis]);
        const near = [...labels.keys()].filter((i) => isNear(i, 0) && isNear(i, 1));
        assert.ok(near.length > 50, `${near.length} points at cluster ${c}`);
      }
    });

    test('of a checkpoint that lacks its transform, clusters are not drawn', async () => {
      const run = changedCopy(path(kind), path(`${kind}-without`), (at) =>
        unfinish(at, 'labels.npy', 'model', 'mixture'),
      );
      await changeCheckpoints(run, (checkpoint) => ({ ...checkpoint, transform: null }));
      const { code, stdout, stderr } = await dpmesh(['plot', '--run', run]);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.endsWith(': k, losses\n'), stdout);
      assert.match(stderr, /lacks the transform of the rows: the pictures of clusters are left out/);
      const ended = await resumed(run, '--workers', 2);
      jsonOf(ended);
      assert.deepEqual(resultHashes(run), expected, 'a run that resumes plans it again');
    });
  });

test('a run of an earlier version, which knew one likelihood, resumes to the same bytes', async () => {
  const { data } = embeddedData(folder, 'old', ROWS);
  // As it was: no `auto`, and the width of the net in the config.
  const flags = [...FLAGS, '--transform', 'standard', '--hidden', 50];
  const expected = await undisturbedHashes(data, path('old-quiet'), ...flags);
  const run = changedCopy(path('old-quiet'), path('old'), (at) => {
    unfinish(at, 'labels.npy', 'model', 'mixture');
    // Of the checkpoints that are kept all but the first.
    for (const name of checkpointsOf(at).slice(1)) rmSync(join(at, 'checkpoints', name));
  });
  changeRunFile(run, ({ config }) => delete config.likelihood);
  await changeCheckpoints(run, ({ config: { likelihood, ...config }, ...checkpoint }) => {
    assert.deepEqual([checkpoint.transform, likelihood], [null, 'auto']);
    return { ...checkpoint, config };
  });
  jsonOf(await resumed(run, '--workers', 1));
  assert.deepEqual(resultHashes(run), expected);
  const [{ epoch }] = ofType(eventsOf(run), 'resume');
  assert.ok(epoch > 0 && epoch < EPOCHS, `${epoch}`);
});
