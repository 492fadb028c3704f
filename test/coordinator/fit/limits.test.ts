import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { checkMemory, layoutFor } from '../../../coordinator/fit/preparation/limits.ts';
import type { Source } from '../../../data/source.ts';
import type { RunConfig } from '../../../run/config.ts';

const GIGA = 1e9;
const config = (over: Partial<RunConfig> = {}) =>
  ({
    data: 'wide.npy',
    encoder: 'none',
    covariance: 'full',
    transform: 'center',
    initK: 1,
    shards: 8,
    seed: '3',
    ...over,
  }) as RunConfig;
const refuses = (of: RunConfig, dim: number, free: number) => {
  try {
    checkMemory(of, { dim, shards: Number(of.shards) }, free);
    return null;
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.message;
  }
};

describe('checkMemory', () => {
  test('rejects full covariance that does not fit, with a remedy', () => {
    // Statistics of 20 clusters on 8 shards: 1 + D + D(D+1)/2 float64 each.
    const gigabytes = ((1 + 3072 + (3072 * 3073) / 2) * 8 * 20 * 8) / GIGA;
    assert.equal(
      refuses(config(), 3072, 4 * GIGA),
      `wide.npy: full covariance in 3072 dimensions needs about ${gigabytes.toFixed(1)} GB of memory, 4.0 GB are free; use --covariance diag or --transform pca:32`,
    );
    assert.equal(refuses(config(), 3072, gigabytes * GIGA), null);
    assert.notEqual(refuses(config(), 3072, gigabytes * GIGA - 1), null);
  });

  test('counts the full moments of all columns for PCA', () => {
    assert.match(refuses(config({ transform: 'pca:2' }), 50_000, 4 * GIGA)!, /80\.0 GB/);
    const remedy =
      /80\.0 GB .*; use --transform standard with --covariance diag, or reduce the columns first/;
    assert.match(refuses(config({ transform: 'pca:2', covariance: 'diag' }), 50_000, 4 * GIGA)!, remedy);
    assert.equal(refuses(config({ transform: 'standard', covariance: 'diag' }), 50_000, 4 * GIGA), null);
    assert.match(
      refuses(config(), 50_000, 4 * GIGA)!,
      /; use --covariance diag, or reduce the columns first/,
    );
  });

  test('an encoder needs no covariance', () => {
    assert.equal(refuses(config({ encoder: 'autoencoder' }), 50_000, GIGA), null);
  });

  test('grows with clusters and shards', () => {
    const free = 0.5 * GIGA;
    assert.equal(refuses(config(), 512, free), null);
    assert.notEqual(refuses(config({ initK: 100 }), 512, free), null);
    assert.notEqual(refuses(config({ shards: 32 }), 512, free), null);
  });

  test('uses this machine’s free memory by default', () => {
    assert.doesNotThrow(() => checkMemory(config(), { dim: 2, shards: 8 }));
  });
});

describe('layoutFor', () => {
  const source = (rows: number) => ({ rows, dim: 5 }) as Source;

  test('is the layout of the config’s shards and seed', () => {
    assert.deepEqual(layoutFor(config(), source(10_000)), {
      rows: 10_000,
      dim: 5,
      shards: 8,
      blockRows: 16,
      seed: '3',
    });
    assert.equal(layoutFor(config(), source(8)).blockRows, 1);
  });

  test('chooses a shard for every 500 rows by itself, a power of two up to 8', () => {
    const shardsOf = (rows: number) => layoutFor(config({ shards: 'auto' }), source(rows)).shards;
    const rows = [2, 333, 999, 1000, 1999, 2000, 3999, 4000, 1e7];
    assert.deepEqual(rows.map(shardsOf), [1, 1, 1, 2, 2, 4, 4, 8, 8]);
  });

  test('rejects fewer rows than shards, and a single row', () => {
    assert.throws(
      () => layoutFor(config(), source(7)),
      new UserError('wide.npy has 7 rows, fewer than --shards 8; lower it, or leave it out'),
    );
    for (const shards of [1, 8, 'auto'] as const)
      assert.throws(
        () => layoutFor(config({ shards }), source(1)),
        new UserError('wide.npy has 1 row; clustering needs at least 2'),
      );
    assert.throws(
      () => layoutFor(config({ initK: 21 }), source(20)),
      new UserError('--init-k 21 is more than the 20 rows of wide.npy'),
    );
    assert.equal(layoutFor(config({ shards: 1 }), source(2)).rows, 2);
  });
});
