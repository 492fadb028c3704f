// A real Prometheus scrapes a real run, and every committed expression must return data.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeNpy } from '../../data/npy.ts';
import {
  D,
  dpmesh,
  ENDLESS,
  easyData,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  patience,
  QUICK,
  type RunningProcess,
  scratch,
  start,
  trainArgs,
} from '../e2e/support.ts';
import { allQueries, type DashboardQuery, selectors, substitute } from './expressions.ts';
import { type AllowedEmpty, lacks, type Prometheus, problemsOf, startPrometheus } from './prometheus.ts';

/** The only selectors that may match nothing, and why. */
const ALLOWED_EMPTY: AllowedEmpty = [
  [/^ALERTS\{/, 'a healthy run raises no alert'],
  [
    /^dpmesh_worker_gpu_memory_(limit_)?bytes\{/,
    'no GPU here; the test below checks that the metrics are exported',
  ],
];

const skip = lacks('prometheus');
const queries = allQueries();
let run: RunningProcess;
let updating: RunningProcess;
let prometheus: Prometheus;
let since: number;
let port: number;
// Registered before scratch(), whose hook removes the folder: hooks run in this order.
after(async () => {
  if (skip) return;
  await prometheus?.stop();
  for (const started of [run, updating]) {
    started?.kill('SIGINT');
    await started?.ended;
  }
});
const folder = scratch();

/** The values that Grafana substitutes with all workers chosen. */
const VALUES = {
  run: 'watched',
  run_id: '.*',
  instance: '.*',
  worker: '.*',
  datasource: 'x',
  __interval: '1s',
  __rate_interval: '15s',
};
/** An update's metrics are those of another run. */
const check = (queries: readonly DashboardQuery[]) =>
  problemsOf(queries, { ...VALUES, run: 'watched|updated' }, prometheus, since, ALLOWED_EMPTY);

/** Starts an update with rows like those before. Its port stays. */
async function startUpdate(port: number): Promise<RunningProcess> {
  const { rows } = easyData(folder, 'more', 4500);
  for (const [name, from, to] of [
    ['first', 0, 3000],
    ['second', 3000, 4500],
  ] as const)
    writeNpy(`${folder}/${name}.npy`, '<f4', [to - from, D], rows.slice(from * D, to * D));
  jsonOf(await dpmesh(trainArgs(`${folder}/first.npy`, `${folder}/base`, ...QUICK, '--no-http')));
  const flags = ['--out', `${folder}/updated`, '--http', `127.0.0.1:${port}`, '--linger', 600, '--no-report'];
  return start(['update', `${folder}/base`, '--data', `${folder}/second.npy`, ...flags], {
    timeout: 600_000,
  });
}

before(async () => {
  if (skip) return;
  const { data } = easyData(folder, 'easy', 3000);
  port = await freePort();
  since = Date.now() / 1000;
  // Some metrics are of encoders only, and of the graph likelihood.
  const flags = [
    ...['--encoder', 'autoencoder', '--encoder-hidden', '16', '--encoder-batch', 8, '--latent', 2],
    ...['--likelihood', 'graph', '--resolution', 1],
    ...ENDLESS,
    ...QUICK,
    ...['--workers', 2, '--http', `127.0.0.1:${port}`],
  ];
  run = start(trainArgs(data, `${folder}/watched`, ...flags), { timeout: 600_000 });
  const other = await freePort();
  updating = await startUpdate(other);
  prometheus = await startPrometheus(`127.0.0.1:${port}`, `127.0.0.1:${other}`);
});

test('every expression of dashboards and rules returns data for a healthy run', { skip }, async () => {
  assert.ok(queries.length > 80, `${queries.length} expressions`);
  const until = Date.now() + 1000 * patience(45);
  let remaining = queries;
  let problems = await check(remaining);
  while (problems.length && Date.now() < until) {
    await sleep(1000);
    // A query that has returned data once is not repeated: a busy machine misses scrapes.
    remaining = remaining.filter(({ where }) => problems.some((line) => line.startsWith(`${where}: `)));
    problems = await check(remaining);
  }
  assert.deepEqual(problems, []);
});

test('the metrics of selectors that may be empty are exported', { skip }, async () => {
  const known = (await prometheus.api('metadata', {})) as Record<string, unknown>;
  const all = [...new Set(queries.flatMap(({ expr }) => selectors(expr)))];
  for (const [pattern, why] of ALLOWED_EMPTY) {
    const names = all.filter((selector) => pattern.test(selector)).map((selector) => selector.split('{')[0]);
    assert.ok(names.length, `no selector needs this exception: ${why}`);
    for (const name of names) assert.ok(name === 'ALERTS' || known[name], `${name} is not exported`);
  }
});

test('a killed worker is visible: lost once, joined twice under the same name', { skip }, async () => {
  const { pid } = ofType(eventsOf(`${folder}/watched`), 'worker').find(({ name }) => name === 'local/0')!;
  process.kill(pid, 'SIGKILL');
  const panel = async (where: string) => {
    const { expr } = queries.find((query) => query.where === where)!;
    const { result } = (await prometheus.api('query', { query: substitute(expr, VALUES) })) as {
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

/** The names of the runs for which an expression holds. */
async function runsWhere(expr: string): Promise<string[]> {
  const { result } = (await prometheus.api('query', { query: expr })) as {
    result: { metric: { run: string } }[];
  };
  return result.map(({ metric }) => metric.run);
}

test('a coordinator that is killed is missed; one whose run is done waits until Prometheus knows', {
  skip,
}, async () => {
  const { expr } = queries.find(({ where }) => where.endsWith(': DpmeshCoordinatorGone'))!;
  const missed = async (names: string[]) => {
    const until = Date.now() + 1000 * patience(30);
    while (Date.now() < until && JSON.stringify(await runsWhere(expr)) !== JSON.stringify(names))
      await sleep(300);
    assert.deepEqual(await runsWhere(expr), names);
  };
  await missed([]);
  await run.killAll();
  await missed(['watched']);
  const { data } = easyData(folder, 'easy-too', 3000);
  const flags = ['--workers', 2, '--http', `127.0.0.1:${port}`, '--no-early-stop', '--max-epochs', 100];
  run = start(trainArgs(data, `${folder}/short`, ...flags, ...QUICK), { timeout: 600_000 });
  assert.equal((await run.ended).code, 0);
  assert.deepEqual(await runsWhere('last_over_time(dpmesh_run_state{state="done",run="short"}[1h]) == 1'), [
    'short',
  ]);
  await missed(['watched']);
});
