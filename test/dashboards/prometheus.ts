// A real Prometheus in a folder of its own, and what one asks of it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../e2e/support.ts';
import { type Asked, fill, RULES, selectors } from './expressions.ts';

/** Why a test must be skipped that needs this tool; false: it is there. */
export const lacks = (tool: 'prometheus' | 'promtool'): string | false =>
  spawnSync(tool, ['--version']).error ? `${tool} is not installed (Debian: apt install prometheus)` : false;

export interface Prometheus {
  /** The `data` of an answer. */
  api(path: string, query: Record<string, string>): Promise<unknown>;
  stop(): Promise<void>;
}

/** Scrapes `target` and evaluates the committed rules, both every second. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-prometheus-'));
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: RULES.map((file) => resolve(file)),
    scrape_configs: [{ job_name: 'dpmesh', static_configs: [{ targets: [target] }] }],
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
  let said = '';
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    said += text;
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
    if (child.exitCode !== null || tries > 300) throw new Error(`Prometheus does not come up: ${said}`);
    await sleep(100);
  }
  return {
    async api(path, query) {
      const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query)}`);
      const { status, data, error } = (await answer.json()) as Record<string, unknown>;
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

/** Does a query answer with anything but NaN? */
async function answers({ api }: Prometheus, expr: string, as: 'range' | 'instant', since: number) {
  const now = Date.now() / 1000;
  const data =
    as === 'range'
      ? await api('query_range', { query: expr, start: String(since), end: String(now), step: '1' })
      : await api('query', { query: expr, time: String(now) });
  const { result } = data as { result: Series[] };
  return result.some(({ value, values }) => (values ?? [value!]).some(([, number]) => number !== 'NaN'));
}

/** Selectors that may find nothing, or whose metric need not be known, and why. */
export type Excuses = readonly (readonly [selector: RegExp, why: string])[];

/**
 * What is wrong with the expressions, a line each: those that Prometheus refuses or that give no data, alerts that a
 * healthy run raises, and selectors in them that select nothing, since `or vector(0)` would hide that.
 */
export async function faults(
  asked: readonly Asked[],
  values: Record<string, string>,
  prometheus: Prometheus,
  since: number,
  excuses: Excuses,
): Promise<string[]> {
  const found: string[] = [];
  const selected = new Map<string, boolean>();
  const isExcused = (selector: string) => excuses.some(([pattern]) => pattern.test(selector));
  for (const { where, expr, as, label } of asked) {
    try {
      const filled = fill(expr, values);
      if (as === 'values') {
        const known = await prometheus.api(`label/${label}/values`, { 'match[]': filled });
        if (!(known as string[]).length) found.push(`${where}: no values of ${label} in ${filled}`);
      } else {
        const any = await answers(prometheus, filled, as === 'range' ? 'range' : 'instant', since);
        if (as === 'silent' && any) found.push(`${where}: raised by a healthy run: ${filled}`);
        if (as !== 'silent' && !any) found.push(`${where}: no data: ${filled}`);
      }
      for (const selector of selectors(filled)) {
        if (!selected.has(selector)) {
          selected.set(selector, await answers(prometheus, selector, 'range', since));
        }
        if (!selected.get(selector) && !isExcused(selector)) {
          found.push(`${where}: nothing is selected by ${selector}`);
        }
      }
    } catch (error) {
      found.push(`${where}: ${(error as Error).message}`);
    }
  }
  return found;
}
