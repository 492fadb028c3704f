import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { createCounters } from '../../../page/live/counters.ts';
import { createMetrics } from '../../../page/live/prometheus.ts';
import { fakeRun, K } from './fake-run.ts';

/** The value of a series. */
function valueIn(text: string, series: string): number {
  const [name, labels] = series.split('{');
  const wanted = labels ? labels.replace('}', '').split(',') : [];
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)));
  assert.equal(lines.length, 1, `${lines.length} series match ${series}`);
  return Number(lines[0].split(' ').at(-1));
}

describe('the metrics', () => {
  test('report what has happened', async () => {
    const text = await createMetrics(fakeRun()).metrics();
    const expected: Record<string, number> = {
      'dpmesh_run_state{state="running"}': 1,
      'dpmesh_run_state{state="failed"}': 0,
      dpmesh_clusters: K,
      dpmesh_epoch: 7,
      dpmesh_max_epochs: 200,
      dpmesh_epochs_total: 2,
      dpmesh_rows: 5000,
      dpmesh_sample_rows: 900,
      // An epoch without a loss leaves the last one.
      dpmesh_clustering_loss: 0.5,
      dpmesh_subclustering_loss: 0.25,
      dpmesh_partition_agreement: 0.86,
      'dpmesh_partition_clusters{bound="least"}': 15,
      'dpmesh_partition_clusters{bound="most"}': 19,
      'dpmesh_cluster_rows{cluster="2"}': 300,
      'dpmesh_proposals_total{kind="split",outcome="accepted"}': 1,
      'dpmesh_proposals_total{kind="merge",outcome="refused"}': 0,
      'dpmesh_best_log_ratio{kind="split"}': 7,
      dpmesh_rounds_total: 1,
      'dpmesh_round_seconds_bucket{le="2.5"}': 0,
      'dpmesh_round_seconds_bucket{le="5"}': 1,
      'dpmesh_task_seconds_count{task="moments"}': 4,
      'dpmesh_workers{state="up"}': 1,
      'dpmesh_workers{state="gone"}': 1,
      'dpmesh_worker_departures_total{reason="killed"}': 1,
      'dpmesh_worker_departures_total{reason="cut"}': 1,
      'dpmesh_worker_departures_total{reason="silent"}': 0,
      'dpmesh_worker_gpu_memory_limit_bytes{worker="host0/gpu0"}': 8e10,
      'dpmesh_results_dropped_total{reason="late"}': 2,
      dpmesh_units_reassigned_total: 3,
      'dpmesh_refused_messages_total{reason="malformed"}': 4,
      'dpmesh_refused_connections_total{reason="no_key"}': 5,
      dpmesh_received_bytes_total: 10,
      dpmesh_checkpoints_total: 1,
      dpmesh_checkpoint_failures_total: 0,
      dpmesh_checkpoint_bytes: 1234,
      dpmesh_event_stream_clients: 1,
      dpmesh_update: 2,
      dpmesh_drift_rows: 500,
      dpmesh_drift_nats: 0.25,
      dpmesh_drift_unlikely_ratio: 0.125,
      dpmesh_drift_moved_ratio: 0.0625,
      'dpmesh_drift_deviate{measure="nats"}': 5,
      'dpmesh_drift_deviate{measure="unlikely"}': 9,
      'dpmesh_drift_deviate{measure="moved"}': -1,
      'dpmesh_drift_alarm{alarm="less_likely"}': 1,
      'dpmesh_drift_alarm{alarm="shares"}': 0,
      'dpmesh_drift_alarms_total{alarm="unlike"}': 1,
      'dpmesh_drift_alarms_total{alarm="shares"}': 0,
      'dpmesh_lineage_total{what="born"}': 2,
      'dpmesh_lineage_total{what="merged"}': 1,
      'dpmesh_lineage_total{what="gone"}': 0,
    };
    for (const [series, value] of Object.entries(expected))
      assert.equal(valueIn(text, series), value, series);
    for (const line of text.split('\n').filter((line) => line.startsWith('dpmesh_')))
      assert.ok(line.includes('run="a \\"run\\""'), line);
    assert.ok(!/dpmesh_best_log_ratio\{kind="merge"/.test(text));
  });

  test('are absent as long as their value is unknown', async () => {
    const bare = { ...fakeRun(), counters: createCounters() };
    bare.recorder = { status: () => 'starting', snapshot: () => null, run: () => null };
    const text = await createMetrics(bare).metrics();
    for (const name of [
      'clustering_loss',
      'clusters',
      'checkpoint_bytes',
      'epoch_timestamp_seconds',
      'update',
    ])
      assert.ok(!text.includes(`dpmesh_${name}{`), name);
    assert.equal(valueIn(text, 'dpmesh_checkpoints_total'), 0);
  });

  test('busy ratios cover the time since the previous scrape', async () => {
    const input = fakeRun();
    const registry = createMetrics(input);
    const busyRatio = async () =>
      valueIn(await registry.metrics(), 'dpmesh_worker_busy_ratio{worker="host0/gpu0"}');
    // Compute time of the six tasks, since the start of the run.
    const all = 6 * 0.5 + 15 / 3;
    input.advance(1e6);
    assert.equal(await busyRatio(), all / 1000);
    input.counters.results('host0/gpu0', { done: [[{ shard: 0, from: 0, to: 0 }]] } as never, [
      ['moments', 2],
    ]);
    input.advance(8000);
    assert.equal(await busyRatio(), 0.25);
    // A scrape right after the last one gets the same values.
    input.advance(10);
    assert.equal(await busyRatio(), 0.25);
    input.advance(5000);
    assert.equal(await busyRatio(), 0);
  });

  test('implausible seconds reported by a worker do not break them', async () => {
    const input = fakeRun();
    for (const seconds of [-1, 1e300])
      input.counters.results('host0/gpu0', { done: [[{ shard: 0, from: 0, to: 0 }]] } as never, [
        ['moments', seconds],
      ]);
    await createMetrics(input).metrics();
  });

  test('count clusters once components are joined to them', async () => {
    const run = fakeRun();
    const { state } = run.recorder.snapshot()!;
    const joined = { ...state, groups: Int32Array.of(0, 1, 0) };
    const recorder = { ...run.recorder, snapshot: () => ({ state: joined, counts: [600, 300] }) as never };
    const text = await createMetrics({ ...run, recorder }).metrics();
    const of = (name: string) =>
      [...text.matchAll(new RegExp(`^dpmesh_${name}\\{.*\\} (.*)$`, 'gm'))].map(
        ([, value]) => Math.round(1e6 * Number(value)) / 1e6,
      );
    assert.deepEqual(
      [of('clusters'), of('cluster_weight'), of('cluster_rows')],
      [[2], [0.666667, 0.333333], [600, 300]],
    );
  });

  test('match docs/monitoring.md in name and labels', async () => {
    const docs = readFileSync(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8');
    const documented = new Map(
      [...docs.matchAll(/`(dpmesh_(?!follow_|local_)\w+)(?:\{(.*?)\})?`/g)].map(([, name, labels = '']) => [
        name,
        labels,
      ]),
    );
    const metrics = (await createMetrics(fakeRun()).getMetricsAsJSON()).filter(({ name }) =>
      name.startsWith('dpmesh_'),
    );
    assert.deepEqual(metrics.map(({ name }) => name).sort(), [...documented.keys()].sort());
    for (const { name, values } of metrics) {
      // Those of a graph have no value where there is none.
      const labels = Object.keys(values[0]?.labels ?? {}).filter(
        (label) => !['le', 'run', 'run_id'].includes(label),
      );
      assert.equal(documented.get(name), labels.join(','), name);
    }
  });

  test('pass promtool’s checks', async (t) => {
    const text = await createMetrics(fakeRun()).metrics();
    const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    if (error) return t.skip('promtool is not installed');
    assert.equal(`${stdout}${stderr}`, '');
    assert.equal(status, 0);
  });
});

test('metrics have at most 200 clusters, and a GPU that uses no memory yet', async () => {
  const run = fakeRun({ workers: 1, k: 250 });
  const members = () =>
    run.server.members().map((member) => ({ ...member, gpuMemory: { used: 0, limit: 8e10 } }));
  const text = await createMetrics({ ...run, server: { ...run.server, members } }).metrics();
  assert.equal(text.match(/^dpmesh_cluster_weight\{/gm)?.length, 200);
  assert.match(text, /^dpmesh_worker_gpu_memory_bytes\{worker="[^"]+"[^}]*\} 0$/m);
});

test('with more than 200 workers, their metrics are by host', async () => {
  const run = fakeRun({ workers: 208 });
  const text = await createMetrics(run).metrics();
  const of = (name: string) => text.match(new RegExp(`^dpmesh_worker_${name}\\{.*`, 'gm')) ?? [];
  for (const name of ['task_seconds_total', 'busy_ratio', 'memory_bytes', 'info', 'joins_total'])
    assert.equal(of(name).length, 26, name);
  const bytes = run.server
    .members()
    .slice(-8)
    .reduce((sum, { memory }) => sum + memory, 0);
  assert.match(of('memory_bytes')[25], new RegExp(`worker="host25".* ${bytes}$`));
  assert.ok(of('busy_ratio').every((line) => Number(line.split(' ').at(-1)) <= 1));
  assert.ok(of('task_seconds_total').every((line) => line.includes('task="all"')));
});
