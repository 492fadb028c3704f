import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Step } from '../../../model/schedule.ts';
import { notesOn, notesOnReplicates, type RunOutcome } from '../../../run/passes/notes.ts';

const step = (kind: Step['kind'], k: number, changed = 0): Step => ({ kind, k, changed, progress: null });
const quiet = (k: number) => [step('split', k), step('merge', k), step('split', k), step('merge', k)];

/** A run of 5,000 Gaussian rows in which nothing is wrong. */
function outcome(changes: Partial<RunOutcome> & { dim?: number } = {}): RunOutcome {
  const { dim = 2, ...rest } = changes;
  const of = (value: number) => Array<number>(dim).fill(value);
  return {
    config: {
      transform: 'standard',
      covariance: 'full',
      alternations: 0,
      maxEpochs: 500,
      schedule: 'fast',
      alpha: 10,
      resolution: null,
      clusters: null,
      noise: false,
    },
    ...{ k: 8, silhouette: 0.4, rows: 5000, sampled: 5000, d: dim, sizes: Array(8).fill(625), ids: null },
    ...{ unexplained: 0, added: [], skewed: [], alike: [], unknown: null, components: 0 },
    ...{ noise: 0, isMixed: false },
    columns: { mean: of(0), min: of(-4.2), max: of(4.1), variance: of(1), names: null },
    steps: quiet(8),
    reason: 'settled',
    graph: null,
    evidence: null,
    ...rest,
  };
}
type Changes = Parameters<typeof outcome>[0];

/** The notes are as many, and say this. */
function says(changes: Changes, ...notes: RegExp[]): void {
  const found = notesOn(outcome(changes));
  assert.equal(found.length, notes.length, found.join('\n'));
  for (const [i, note] of notes.entries()) assert.match(found[i], note);
}
/** The first note of a run that found a single cluster. */
const one = (changes: Changes, note: RegExp) =>
  assert.match(notesOn(outcome({ k: 1, silhouette: null, steps: quiet(1), ...changes }))[0], note);

describe('notes on a result', () => {
  test('a run that is fine has none', () => {
    says({});
    says({ silhouette: null, rows: 10 ** 6, sampled: 20_000 });
    // What looks odd does no harm where there are clusters.
    says({ dim: 64, rows: 50_000, sampled: 50_000 });
    // All epochs are used without --early-stop, too.
    says({ reason: 'max-epochs' });
  });

  test('what training says of values that may stand for unknown ones', () => {
    says({ unknown: 'column a is 1 in 5 % of the rows' }, /^column a is 1/);
  });

  test('why no row is noise', () => {
    const { config } = outcome();
    const asked = { ...config, noise: true };
    says({ config: asked, noise: 40 });
    says({ config: asked }, /^--noise: no row is noise: a background explains the rows no better/);
    says({ config: asked, isMixed: true }, /needs continuous columns alone/);
    says({ config: asked, dim: 80, rows: 10 ** 6, sampled: 10 ** 6 }, /at most 64 columns/);
  });

  test('what components were joined for', () => {
    says({ components: 12 }, /^K is 8, of 12 components.*no valley/);
    says({ k: 1, silhouette: null, steps: quiet(1), components: 12 }, /^K is 1, of 12 components/);
    const { config } = outcome();
    says(
      { components: 12, config: { ...config, clusters: 8 } },
      /^--clusters 8: 12 components of the mixture were joined/,
    );
  });

  test('columns that are alike in all clusters, if they are many', () => {
    says({ dim: 5, alike: [3, 4] });
    says({ dim: 5, alike: [0, 3, 4] }, /^3 of the 5 columns carry nothing, .*\(0, 3 to 4, counted from 0\)/);
    const { columns } = outcome({ dim: 3 });
    says({ alike: [1, 2], columns: { ...columns, names: ['a', 'b', 'c'] } }, /\(b to c\)/);
  });

  test('splits and merges that were nearly accepted', () => {
    const none = { refused: null, accepted: null };
    const split = { clusters: [2], sizes: [300, 200, 125], nats: -1.2, needed: 0 };
    const merge = { clusters: [7, 4], sizes: [600, 500], nats: 7, needed: 9.5, reason: 'an odd shape' };
    const of = (nats: number) => ({
      split: { refused: { ...split, nats }, accepted: null },
      merge: { refused: merge, accepted: null },
    });
    says(
      { evidence: of(-1.2) },
      /^K could as well be 10: .* 3\.3 to 1 \(split of cluster 2 in 3: 1\.2 nats short\)/,
      /^K could as well be 7: .* \(merge of clusters 4 and 7: 2\.5 nats short \(an odd shape\)\)/,
    );
    says({ evidence: of(-3.1) }, /be 7/);
    const last = { ...split, nats: 9, needed: 8.5 };
    says(
      { evidence: { split: { refused: null, accepted: last }, merge: none } },
      /be 6: .* \(last split: 0\.5 nats/,
    );
    says({ evidence: { split: { refused: null, accepted: split }, merge: none } });
  });

  test('what became of --clusters', () => {
    const config = { ...outcome().config, clusters: 8 };
    says({ config });
    const joined = { ...step('merge', 8, 3), joined: true as const };
    says(
      { config, steps: [...quiet(11), joined] },
      /^--clusters 8: training found 11 clusters, .* until 8 were left$/,
    );
    const more = { ...config, clusters: 20 };
    says({ config: more }, /no more than 8 Gaussian clusters; --likelihood graph/);
    says({ config: more, graph: { stability: 0.8 } }, /8 were left .*dpmesh resolutions/);
  });

  test('columns with a long tail', () => {
    says({ skewed: [1] }, /^column 1 \(counted from 0\) is skewed .*; try --log 2 \(counted from 1\)$/);
    const { columns } = outcome();
    const named = (...names: string[]) => ({ ...columns, names });
    says({ skewed: [0, 1], columns: named('a', 'b') }, /^columns a, b are skewed .*; try --log a,b$/);
    // Where a list would be taken apart, or is long.
    says({ skewed: [0], columns: named('a,b') }, /; try --log auto$/);
    says(
      { skewed: [0, 1, 2, 3], columns: named('a', 'b', 'c', 'd') },
      /^columns a, b, c and 1 more .* --log auto$/,
    );
    one({ skewed: [1] }, /^K is 1: no split/);
    const [, note] = notesOn(outcome({ k: 1, silhouette: null, steps: quiet(1), skewed: [1] }));
    assert.match(note, /^column 1 .* is skewed .* of one cluster as of several: .*; try --log 2/);
  });

  test('near copies of rows', () => {
    const copies = { of: Int32Array.of(0, 0, 2, 0, 4, 4), starts: Int32Array.of(0, 6) };
    says(
      { graph: { stability: 0.8, copies }, sampled: 6000 },
      /^3 of the 6,000 rows in the sample are near copies of 2 others .*copies\.npy .* --keep-copies$/,
    );
    says({ graph: { stability: 0.8, copies: null } });
  });

  test('splits that merges undo again and again', () => {
    const undone = [step('split', 9, 1), step('merge', 8, 1)];
    says(
      { steps: [...undone, ...undone] },
      /^K settled at 8, though the last split steps found 9: .* merges undid .*--replicates 10/,
    );
    // Such a split may be learned the next time.
    says({ steps: [...quiet(8), ...undone], reason: 'max-epochs' });
  });

  test('K 1', () => {
    one({}, /^K is 1: no split .* may be right; if you expect clusters, leave out columns/);
    const config = { ...outcome().config, transform: 'center' as const };
    one({ config }, /try --transform standard .*, or leave out columns/);
    one({ dim: 1 }, /which may be right$/);
  });

  test('K 1 in many columns', () => {
    one({ dim: 64 }, /^K is 1 in 64 columns: .* try --likelihood graph or --transform pca:16/);
    const config = { ...outcome().config, transform: 'pca:40' as const };
    one({ config, d: 40, dim: 64 }, /^K is 1 in 40 columns after the transform: /);
    one({ dim: 32 }, /^K is 1 in 5,000 rows/);
    one({ dim: 16 }, /^K is 1: /);
  });

  test('K 1 with the graph likelihood: no words about Gaussians', () => {
    const graph = { stability: null };
    one(
      { dim: 64, graph },
      /^K is 1: partitions of other samples differ at every resolution, .* may be right; /,
    );
    one(
      { dim: 64, graph: { stability: 0.6 } },
      /^K is 1: no partition of the graph of nearest neighbours was better than one cluster/,
    );
    one({ dim: 64, graph, rows: 199, sampled: 199 }, /^K is 1 in 199 rows, few for a graph/);
    one({ dim: 64, graph }, /or try --likelihood gaussian with --transform pca:16$/);
    one({ dim: 2, graph }, /or try --likelihood gaussian$/);
    const columns = { mean: [0, 0], min: [-4, 0], max: [4, 100], variance: [1, 1], names: null };
    one({ graph, columns }, /^K is 1, and column 1 .* has values as far as 100/);
    // As many clusters as the mixture that describes them may have is not near what the graph may have.
    const most = { dim: 1024, k: 127, steps: quiet(127), rows: 10 ** 6, sampled: 10 ** 5 };
    says({ ...most, graph: { stability: 1 } });
  });

  test('K 1 only because the net had no time to learn the clusters of the last split', () => {
    const steps = [step('split', 6, 5)];
    for (const graph of [null, { stability: 1 }]) {
      one(
        { steps, reason: 'max-epochs', graph },
        /^training ended at --max-epochs 500 while K still changed \(1 → 6\)/,
      );
    }
  });

  test('K 1 in few rows', () => {
    const few = { rows: 150, sampled: 150, dim: 4 };
    one(few, /^K is 1 in 150 rows, few for clusters of 15 parameters each; try --covariance diag/);
    const config = { ...outcome().config, covariance: 'diag' as const };
    one(
      { ...few, config },
      /each; try --likelihood graph or --alpha 100 \(favours more clusters\), or bring more rows$/,
    );
    // Tenfold has not helped, so a hundredfold is not recommended.
    one({ ...few, config: { ...config, alpha: 100 } }, /each; try --likelihood graph, or bring more rows$/);
  });

  test('several clusters of few rows for their parameters', () => {
    const few = { k: 2, rows: 178, sampled: 178, dim: 13, d: 13 };
    assert.deepEqual(notesOn(outcome(few)), [
      'K is 2 in 178 rows, 89 for each cluster on average, fewer than its 105 parameters: clusters that are near each other may be one here; compare with --covariance diag (fewer parameters) and --likelihood graph, or bring more rows',
    ]);
    says({ ...few, sampled: 210, rows: 210 });
    says({ ...few, graph: { stability: 1 } });
  });

  test('clusters of very few rows', () => {
    const sizes = [1660, 1660, 1660, 8, 7, 3, 1, 1, 0];
    assert.deepEqual(notesOn(outcome({ sizes })), [
      'clusters 5 to 7 have fewer than 6 rows each: they are rather rows that are far from all others; without them K is 5',
    ]);
    says({ k: 2, sizes: [4999, 1] }, /^cluster 1 has fewer .* without it K is 1$/);
    says({ k: 2, sizes: [4999, 1], ids: [4, 7] }, /^cluster 7 has fewer /);
    says({ k: 4, sizes: [2500, 2490, 5, 5], ids: [4, 7, 9, 2] }, /^clusters 9, 2 have fewer /);
    says({ k: 2, rows: 150, sampled: 150, sizes: [145, 5] });
  });

  test('replicates that find another K', () => {
    const replicates = {
      count: 4,
      k: [1, 1] as [number, number],
      ks: [1, 1, 1, 1],
      agreement: 1,
      clusters: [1],
    };
    assert.match(notesOnReplicates(2, replicates)[0], /^K is 2, but the 4 replicates, .* found K 1: /);
    assert.match(notesOnReplicates(9, { ...replicates, k: [5, 8] })[0], /found K 5 to 8: /);
    const clusters = [0.9, 0.5, null, 0.31];
    assert.match(notesOnReplicates(1, { ...replicates, clusters })[0], /^clusters 1, 3 did not come back/);
    for (const k of [5, 6, 8]) assert.deepEqual(notesOnReplicates(k, { ...replicates, k: [5, 8] }), []);
  });

  test('K 1 with columns that may hide clusters', () => {
    const rows = 5000;
    const variance = [1, (rows ** 2 - 1) / 12, 1];
    const columns = { mean: [0, 2499.5, 0], min: [-4, 0, -4], max: [4, rows - 1, 4], variance };
    one(
      { dim: 3, columns: { ...columns, names: null } },
      /^K is 1, and column 1 \(counted from 0\) looks like row/,
    );
    one({ columns: { ...columns, names: ['a', 'id', 'b'] } }, /^K is 1, and column id looks/);
    // Evenly spread, but not whole, or fewer than the rows: no numbers of rows.
    one({ columns: { ...columns, min: [-4, 0.5, -4], names: null } }, /^K is 1: /);
    one({ rows: 6000, sampled: 6000, columns: { ...columns, names: null } }, /^K is 1: /);
    const far = { mean: [0, 0], min: [-4, 0], max: [57.2, 1], variance: [1, 1e-4], names: null };
    one({ columns: far }, /^K is 1, and columns 0, 1 \(.*\) have values as far as 100 standard/);
  });

  test('a negative silhouette', () => {
    says(
      { silhouette: -0.0312 },
      /^the silhouette is negative \(-0\.031\): .* overlap or are not round .* in the report$/,
    );
    says({ silhouette: 0 });
  });

  test('nearly as many clusters as a message can hold', () => {
    const wide = { dim: 1024, k: 127, steps: quiet(127), rows: 10 ** 6, sampled: 10 ** 5 };
    assert.deepEqual(notesOn(outcome(wide)), [
      'K is 127, near the 127 clusters that full covariance in 1024 columns allows (what is known of all of them has to fit in one message), so there may be more; try --covariance diag or --transform pca:256',
    ]);
    says({ ...wide, k: 110 });
    const config = { ...outcome().config, covariance: 'diag' as const };
    says({ ...wide, config });
  });

  test('a sample with few rows for each cluster', () => {
    const many = { k: 1000, steps: quiet(1000), sampled: 20_000 };
    says(
      { ...many, rows: 10 ** 6 },
      /^K is 1000 from a sample of 20,000 of the 1,000,000 rows, 20 for each cluster .* --sample 80000$/,
    );
    says({ ...many, rows: 50_000 }, /try --sample 0 \(all rows\)$/);
    says({ ...many, rows: 20_000 });
  });

  test('the last epoch, while K still changed', () => {
    const steps = [step('split', 8, 6), step('merge', 8), step('split', 12, 4), step('merge', 11, 1)];
    const ended = { reason: 'max-epochs' as const, steps };
    assert.deepEqual(notesOn(outcome(ended)), [
      'training ended at --max-epochs 500 while K still changed (2 → 8 → 12 → 11); resume with --max-epochs 1000 to go on',
    ]);
    const config = { ...outcome().config, maxEpochs: 20 };
    says({ ...ended, config }, /--max-epochs 20 .* with --max-epochs 500 /);
    one(
      { config, reason: 'max-epochs', steps: [] },
      /^training ended at --max-epochs 20 before the first split step, so K is still 1; /,
    );
    // A split that the merge undid.
    says({ ...ended, steps: [...quiet(8), step('split', 9, 1), step('merge', 8, 1)] });
  });
});

test('components that are joined', () => {
  says({ k: 4, components: 9 }, /^K is 4, of 9 components .*--shapes off/);
  says({ k: 4, components: 4 });
});

test('clusters that the sample had missed, and rows that no cluster explains', () => {
  says({ k: 9, added: [60] }, /^a cluster of 60 rows, .* was added .*: of the 9 clusters, training found 8$/);
  says({ k: 10, added: [1200, 98] }, /^2 clusters of 98 to 1,200 rows, .* were added .* training found 8$/);
  says({ unexplained: 5 });
  says({ unexplained: 6 }, /^6 rows are farther .* confidence is low/);
  // As many as there are by chance in a million.
  says({ unexplained: 6, rows: 1e6, sampled: 1e6 });
  says({ unexplained: 3000, rows: 1e6, sampled: 1e6 }, /^3,000 rows/);
});
