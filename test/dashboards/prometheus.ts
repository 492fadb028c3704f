// A real Prometheus in a temporary folder, and checks of queries against it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../e2e/support.ts';
import { type DashboardQuery, RULES, selectors, substitute } from './expressions.ts';

/** The reason to skip a test that needs this tool; false if it is installed. */
export const lacks = (tool: 'prometheus' | 'promtool'): string | false =>
  spawnSync(tool, ['--version']).error ? `${tool} is not installed (Debian: apt install prometheus)` : false;

export interface Prometheus {
  /** The `data` field of the response. Throws if the query fails. */
  api(path: string, query: Record<string, string>): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts Prometheus; it scrapes `targets` and evaluates the committed rules every second. */
export async function startPrometheus(...targets: string[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-prometheus-'));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: RULES.map((file) => resolve(file)),
    scrape_configs: [{ job_name: 'dpmesh', static_configs: [{ targets }] }],
  };
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config)); // JSON is YAML too.
  const port = await freePort();
  const child: ChildProcess = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.once('exit', () => child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (
      await fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    if (child.exitCode !== null || tries > 300) throw new Error(`Prometheus does not start: ${stderr}`);
    await sleep(100);
  }
  return {
    async api(path, query) {
      const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query)}`);
      const { status, data, error } = (await response.json()) as Record<string, unknown>;
      if (status !== 'success') throw new Error(`${path} ${JSON.stringify(query)}: ${error}`);
      return data;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Series = { value?: [number, string]; values?: [number, string][] };

/** Whether a query returns anything but NaN. */
async function hasData({ api }: Prometheus, expr: string, as: 'range' | 'instant', since: number) {
  const now = Date.now() / 1000;
  const data =
    as === 'range'
      ? await api('query_range', { query: expr, start: String(since), end: String(now), step: '1' })
      : await api('query', { query: expr, time: String(now) });
  const { result } = data as { result: Series[] };
  return result.some(({ value, values }) => (values ?? [value!]).some(([, number]) => number !== 'NaN'));
}

/** Selectors that may match nothing, and why. */
export type AllowedEmpty = readonly (readonly [selector: RegExp, why: string])[];

/**
 * Problems with the queries, one line each: expressions that Prometheus rejects or that return no data, alerts that a
 * healthy run raises, and selectors that match nothing, which `or vector(0)` would hide.
 */
export async function problemsOf(
  queries: readonly DashboardQuery[],
  values: Record<string, string>,
  prometheus: Prometheus,
  since: number,
  allowedEmpty: AllowedEmpty,
): Promise<string[]> {
  const problems: string[] = [];
  const selected = new Map<string, boolean>();
  const mayBeEmpty = (selector: string) => allowedEmpty.some(([pattern]) => pattern.test(selector));
  for (const { where, expr, as, label } of queries) {
    try {
      const query = substitute(expr, values);
      if (as === 'values') {
        const labelValues = await prometheus.api(`label/${label}/values`, { 'match[]': query });
        if (!(labelValues as string[]).length) problems.push(`${where}: no values of ${label} in ${query}`);
      } else {
        const isNonEmpty = await hasData(prometheus, query, as === 'range' ? 'range' : 'instant', since);
        if (as === 'silent' && isNonEmpty) problems.push(`${where}: raised by a healthy run: ${query}`);
        if (as !== 'silent' && !isNonEmpty) problems.push(`${where}: no data: ${query}`);
      }
      for (const selector of selectors(query)) {
        if (!selected.has(selector)) {
          selected.set(selector, await hasData(prometheus, selector, 'range', since));
        }
        if (!selected.get(selector) && !mayBeEmpty(selector)) {
          problems.push(`${where}: no series match ${selector}`);
        }
      }
    } catch (error) {
      problems.push(`${where}: ${(error as Error).message}`);
    }
  }
  return problems;
}
