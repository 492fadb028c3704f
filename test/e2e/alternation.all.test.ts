// Alternation: an encoder that learns from the clusters of its codes, killed and resumed in its midst, with the same bytes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  dpmesh,
  embeddedData,
  eventsOf,
  jsonOf,
  killedWhen,
  ofType,
  resultHashes,
  resumed,
  scratch,
  trainArgs,
  undisturbedHashes,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const FLAGS = [
  ...['--encoder', 'autoencoder', '--encoder-hidden', '48,24', '--latent', 6, '--encoder-epochs', 8],
  ...['--encoder-batch', 16, '--encoder-steps', 8, '--no-http', '--max-epochs', 12, '--checkpoint-every', 0],
  ...['--alternations', 2],
] as const;
const { data, labels } = embeddedData(folder, 'rows', 2400);
const alternations = (run: string) => ofType(eventsOf(run), 'alternation');

describe('a run with alternations', { concurrency: 2 }, () => {
  const run = path('run');
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(data, run, ...FLAGS, '--labels', labels);
  });

  test('says what each brought', () => {
    const { alternations: brought } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).result;
    const events = alternations(run);
    assert.ok(events.length >= 1 && events.length <= 2);
    assert.equal(brought.length, events.length + 1);
    for (const [i, { alternation, of, k, agreement }] of events.entries()) {
      assert.deepEqual([alternation, of], [i + 1, 2]);
      assert.deepEqual({ k, agreement }, brought[i]);
    }
    assert.equal(brought[0].agreement, null);
    assert.ok(brought[1].agreement > 0.5 && brought[1].agreement <= 1);
    // Fewer only where labels no longer change.
    if (events.length === 1) assert.ok(brought[1].agreement >= 0.99);
    const passes = ofType(eventsOf(run), 'encoder-epoch').map(({ epoch, of }) => `${epoch}/${of}`);
    assert.deepEqual(passes.slice(7, 10), ['8/8', '1/2', '2/2']);
  });

  test('has the same bytes for any number of workers, whoever reads the file', async () => {
    for (const flags of [
      ['--workers', 1],
      ['--workers', 3, '--no-shared-files'],
    ]) {
      const out = path(`with-${flags[1]}`);
      jsonOf(await dpmesh(trainArgs(data, out, ...FLAGS, '--labels', labels, ...flags)));
      assert.deepEqual(resultHashes(out), expected);
      assert.deepEqual(readFileSync(join(out, 'codes.npy')), readFileSync(join(run, 'codes.npy')));
    }
  });

  test('killed as the encoder learns from clusters, and resumed', async () => {
    const own = path('killed-encoder');
    const inAlternation = (run: string) => {
      const events = eventsOf(run);
      const last = events.findLastIndex(({ type }) => type === 'alternation');
      return last >= 0 && events.slice(last).some(({ type }) => type === 'encoder-epoch');
    };
    await killedWhen('an alternation', inAlternation, data, own, ...FLAGS);
    jsonOf(await resumed(own, '--workers', 1));
    assert.deepEqual(resultHashes(own), expected);
  });

  test('killed as latent vectors are clustered again, and resumed', async () => {
    const own = path('killed-clusters');
    const clustersAgain = (run: string) => {
      const events = eventsOf(run);
      const last = events.findLastIndex(({ type }) => type === 'alternation');
      return last >= 0 && events.slice(last).some((event) => event.type === 'epoch' && event.epoch >= 3);
    };
    await killedWhen('clusters of the second codes', clustersAgain, data, own, ...FLAGS);
    jsonOf(await resumed(own, '--workers', 3));
    assert.deepEqual(resultHashes(own), expected);
  });
});
