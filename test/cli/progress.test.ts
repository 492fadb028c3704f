import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDisplay, remember, sparkline } from '../../cli/progress.ts';
import { print } from '../../cli/runs.ts';
import type { RunResult } from '../../library/result.ts';
import type { Departure } from '../../run/events.ts';

/** The display on a terminal, or in a file, and what is written there. */
function recorded(isTTY: boolean, maxEpochs = 10) {
  const written: string[] = [];
  const stream = { isTTY, columns: 200, write: (text: string) => written.push(text) };
  return { written, stream, display: createDisplay(maxEpochs, stream as unknown as NodeJS.WriteStream) };
}
const epoch = (epoch: number, k = 1, loss: number | null = null, subLoss: number | null = null) => {
  return { epoch, k, loss, subLoss };
};

const worker = (name: string) => ({
  ...{ type: 'worker' as const, worker: name, name, pid: 1, host: 'h', backend: 'wasm', why: '' },
  identity: 'wasm/1',
});
const gone = (name: string, how: Departure, reason: string) => ({
  ...{ type: 'worker-gone' as const, worker: name, pid: 1, host: 'h', how, reason, tasks: [] },
});

describe('the display', () => {
  test('shows K as a curve and the number of workers, on a terminal', () => {
    const { written, display } = recorded(true);
    for (const name of ['w1', 'w2', 'w3']) display.event(worker(name));
    assert.equal(written.at(-1), '3 workers, wasm  reading all rows …');
    display.event({ type: 'start', rows: 10, dim: 2, sample: 10, shards: 8 });
    display.event(worker('w3'));
    assert.equal(written.at(-1), '3 workers, wasm');
    display.epoch(epoch(1));
    // The remaining time cannot be estimated from one epoch.
    assert.doesNotMatch(written.at(-1)!, /left/);
    display.event(gone('w1', 'silent', 'silent for 5 s'));
    display.event(gone('w2', 'killed', 'killed by SIGKILL'));
    display.epoch(epoch(2, 8, 0.5));
    assert.match(
      written.at(-1)!,
      /^epoch 2\/10 {2}K 8 ▁█ {2}loss 0\.500 {2}sub-loss – {2}1 worker \(1 silent, 1 gone\) {2}.* {2}at most .* left$/,
    );
    display.event(worker('w1'));
    display.event(worker('w2'));
    display.epoch(epoch(3, 8, 0.5));
    assert.match(written.at(-1)!, /K 8 ▁██ .* 3 workers {2}/);
    // Workers of a killed session no longer count.
    display.setWorkers(['w1']);
    display.epoch(epoch(4, 8, 0.5));
    assert.match(written.at(-1)!, / 1 worker {2}/);
  });

  test('says which rows are trained on', () => {
    const { written, display } = recorded(false);
    for (const sample of [8000, 7996, 5000])
      display.event({ type: 'start', rows: 8000, dim: 5, sample, shards: sample === 8000 ? 1 : 8 });
    assert.deepEqual(written, [
      '8,000 rows × 5, 1 shard\n',
      '8,000 rows × 5 (training on all but 4 outliers), 8 shards\n',
      '8,000 rows × 5 (training on a sample of 5,000), 8 shards\n',
    ]);
  });

  test('shows how far reading is, on a terminal, and not more often than it can be read', () => {
    const { written, display } = recorded(true);
    for (let rows = 0; rows < 1000; rows++) display.status(`reading x.csv: ${rows} rows`);
    assert.match(written[0], /^reading x\.csv: 0 rows {2}\d+\.\d s$/);
    assert.ok(written.length < 100, String(written.length));
    const file = recorded(false);
    file.display.status('reading x.csv: 7 rows');
    assert.deepEqual(file.written, []);
  });

  test('omits items that do not fit a narrow terminal', () => {
    const { written, stream, display } = recorded(true, 200);
    for (const [columns, shown] of [
      [40, 'epoch 100/200  K 12 ▁  loss 0.00257'],
      [36, 'epoch 100/200  K 12 ▁▁'],
      [26, 'epoch 100/200  K 12'],
    ] as const) {
      stream.columns = columns;
      display.epoch(epoch(100, 12, 0.00257, 0.55));
      assert.equal(written.at(-1), shown);
    }
  });

  test('uses the time stamps of a run in another process, whose epochs may arrive at once', () => {
    const { written, display } = recorded(true);
    for (const number of [1, 2, 3, 4]) display.epoch(epoch(number), 5 + 2 * number);
    assert.match(written.at(-1)!, / {2}13\.0 s {2}at most 12\.0 s left$/);
  });

  test('writes complete lines only, if the output is not a terminal', () => {
    const { written, display } = recorded(false);
    display.event(worker('w1'));
    display.epoch(epoch(6));
    display.event({ type: 'step', epoch: 6, kind: 'split', changed: 1, k: 2 });
    display.event({ type: 'step', epoch: 12, kind: 'merge', changed: 3, k: 70 });
    assert.deepEqual(written, ['epoch   6  split  K 1 → 2\n', 'epoch  12  merge  K 73 → 70\n']);
  });
});

describe('a sparkline', () => {
  test('has the given width, and heights from the smallest to the largest value', () => {
    assert.equal(sparkline([], 5), '');
    assert.equal(sparkline([3], 5), '▁');
    assert.equal(sparkline([0, 7, 14], 5), '▁▅█');
    assert.equal(sparkline([...Array(100).keys()], 8), '▁▂▃▄▅▆▇█');
    // A short peak is not lost.
    assert.equal(sparkline([1, 1, 9, 1, 1, 1, 1, 1], 4), '▁█▁▁');
  });

  test('keeps a bounded number of values of a long run', () => {
    const values: number[] = [];
    for (let i = 0; i < 5000; i++) remember(values, i);
    assert.ok(values.length <= 512);
    assert.deepEqual([values[0], values.at(-1)], [0, 4999]);
    assert.ok(values.every((value, i) => i === 0 || value > values[i - 1]));
  });
});

test('the result names the command that opens its page again, to be pasted into a shell', (t) => {
  const log = t.mock.method(console, 'log', () => {});
  const result = {
    ...{ k: 3, loss: 0, epochs: 1, rounds: 1, workers: 1, rows: 9, columns: 2, seconds: 1, outliers: 0 },
    ...{ scores: { nmi: null, ari: null, acc: null, silhouette: 1 }, notes: [], report: null, clusters: [] },
    ...{ replicates: null, stability: null, evidence: null },
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
