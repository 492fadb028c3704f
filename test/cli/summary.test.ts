import assert from 'node:assert/strict';
import { test } from 'node:test';
import { print } from '../../cli/summary.ts';
import type { RunResult } from '../../library/result.ts';

test('the result names the command that opens its page again, to be pasted into a shell', (t) => {
  const log = t.mock.method(console, 'log', () => {});
  const result = {
    ...{ k: 3, loss: 0, epochs: 1, rounds: 1, workers: 1, rows: 9, columns: 2, seconds: 1, outliers: 0 },
    ...{ scores: { nmi: null, ari: null, acc: null, silhouette: 1 }, notes: [], report: null },
    ...{ replicates: null, stability: null },
  };
  const said = (directory: string) => {
    log.mock.resetCalls();
    print({ ...result, directory } as unknown as RunResult, false);
    return log.mock.calls
      .map(({ arguments: [line] }) => String(line))
      .find((line) => line.startsWith('page'));
  };
  assert.equal(said('runs/x'), 'page                dpmesh view runs/x');
  assert.equal(said("my runs/Ada's"), `page                dpmesh view 'my runs/Ada'\\''s'`);
});
