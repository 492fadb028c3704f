// The proof: a real Prometheus scrapes a real run, and every expression that is committed must find data in it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ENDLESS,
  easyData,
  eventsOf,
  freePort,
  ofType,
  patience,
  QUICK,
  type Running,
  scratch,
  start,
  trainArgs,
} from '../e2e/support.ts';
import { type Asked, everything, fill, selectors } from './expressions.ts';
import { type Excuses, faults, lacks, type Prometheus, startPrometheus } from './prometheus.ts';

/** The only selectors that may find nothing, and why. */
const EXCUSES: Excuses = [
  [/^ALERTS\{/, 'a healthy run raises no alert'],
  [
    /^dpmesh_worker_gpu_memory_(limit_)?bytes\{/,
    'no GPU here; the metrics are known all the same, see below',
  ],
];

const skip = lacks('prometheus');
const asked = everything();
let run: Running;
let prometheus: Prometheus;
let since: number;
// Before the folder goes, which is done after what was asked for earlier.
after(async () => {
  if (skip) return;
  await prometheus?.stop();
  run?.kill('SIGINT');
  await run?.ended;
});
const folder = scratch();

/** As Grafana would fill them in, all workers chosen. */
const VALUES = {
  run: 'watched',
  worker: '.*',
  datasource: 'x',
  __interval: '1s',
  __rate_interval: '15s',
};
const check = (what: readonly Asked[]) => faults(what, VALUES, prometheus, since, EXCUSES);

before(async () => {
  if (skip) return;
  const { data } = easyData(folder, 'easy', 3000);
  const port = await freePort();
  since = Date.now() / 1000;
  const flags = [...ENDLESS, ...QUICK, '--workers', 2, '--http', `127.0.0.1:${port}`];
  run = start(trainArgs(data, `${folder}/watched`, ...flags), { timeout: 600_000 });
  prometheus = await startPrometheus(`127.0.0.1:${port}`);
});

test('every expression of dashboards and rules finds data in a healthy run', { skip }, async () => {
  assert.ok(asked.length > 80, `${asked.length} expressions`);
  const until = Date.now() + 1000 * patience(45);
  let left = asked;
  let found = await check(left);
  while (found.length && Date.now() < until) {
    await sleep(1000);
    // What has found its data once need not be asked again: a busy machine misses scrapes.
    left = left.filter(({ where }) => found.some((line) => line.startsWith(`${where}: `)));
    found = await check(left);
  }
  assert.deepEqual(found, []);
});

test('what is excused is known to Prometheus at least', { skip }, async () => {
  const known = (await prometheus.api('metadata', {})) as Record<string, unknown>;
  const all = [...new Set(asked.flatMap(({ expr }) => selectors(expr)))];
  for (const [pattern, why] of EXCUSES) {
    const names = all.filter((selector) => pattern.test(selector)).map((selector) => selector.split('{')[0]);
    assert.ok(names.length, `nothing needs the excuse: ${why}`);
    for (const name of names) assert.ok(name === 'ALERTS' || known[name], `${name} is not exported`);
  }
});

test('a typo is found, wherever it is', { skip }, async () => {
  const one = (where: RegExp) => asked.find((each) => where.test(each.where))!;
  const typos: [RegExp, string, string][] = [
    [/^training: Clusters over time/, 'dpmesh_clusters', 'dpmesh_cluster'],
    [/^training: Best log-ratio/, 'dpmesh_best_log_ratio', 'dpmesh_best_log_ratios'],
    [/^training: marks Splits/, 'accepted', 'acepted'],
    [/^cluster: variable worker/, 'dpmesh_worker_info', 'dpmesh_workers_info'],
    [/^cluster: Seconds a round A/, '_bucket', '_buckets'],
    // Where something else stands in for what is not there.
    [/^cluster: GPU memory A/, 'gpu_memory', 'gpu_memories'],
    [/^reliability: Alerts/, 'ALERTS', 'ALERT'],
    [/^dashboards.*recording.rules.yml: run:dpmesh_rounds:rate1m$/, '_total', ''],
    [/^dashboards.*alerts.rules.yml: DpmeshCheckpointFailures/, 'failures', 'failure'],
    [/^dashboards.*alerts.rules.yml: DpmeshNoWorkers/, 'state="up"', 'state="here"'],
  ];
  for (const [where, right, wrong] of typos) {
    const good = one(where);
    const bad = { ...good, expr: good.expr.replaceAll(right, wrong) };
    assert.notEqual(bad.expr, good.expr, good.where);
    const found = await check([bad]);
    assert.ok(found.length, `not found: ${bad.where}: ${bad.expr}`);
    assert.ok(found.every((line) => line.startsWith(good.where)));
  }
});

test('a killed worker shows: lost once, joined twice under the same name', { skip }, async () => {
  const { pid } = ofType(eventsOf(`${folder}/watched`), 'worker').find(({ name }) => name === 'local/0')!;
  process.kill(pid, 'SIGKILL');
  const panel = async (where: string) => {
    const { expr } = asked.find((each) => each.where === where)!;
    const { result } = (await prometheus.api('query', { query: fill(expr, VALUES) })) as {
      result: { metric: Record<string, string>; value: [number, string] }[];
    };
    return result.map(({ metric, value }) => [metric.worker ?? '', Number(value[1])]);
  };
  const until = Date.now() + 1000 * patience(30);
  let seen: unknown[] = [];
  const wanted = [
    [['', 1]],
    [
      ['local/0', 2],
      ['local/1', 1],
    ],
  ];
  while (Date.now() < until && JSON.stringify(seen) !== JSON.stringify(wanted)) {
    await sleep(500);
    const joins = await panel('reliability: Joins by worker A');
    seen = [await panel('reliability: Workers lost A'), joins.sort()];
  }
  assert.deepEqual(seen, wanted);
});
