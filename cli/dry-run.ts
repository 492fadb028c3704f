import { existsSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { counted } from '../base/quantities.ts';
import { indentContinuation } from '../base/text.ts';
import { assertNotAmong, openLabels, openRows } from '../coordinator/fit/inputs.ts';
import { memoryOf } from '../coordinator/fit/memory.ts';
import {
  checkMemory,
  gaussianCost,
  layoutFor,
  sampleThreshold,
} from '../coordinator/fit/preparation/limits.ts';
import { isUndecided, mayBeGraph, transformChoice } from '../coordinator/fit/reading/moments.ts';
import { sampledCounts } from '../coordinator/fit/sample.ts';
import { firstNames } from '../data/tables/table.ts';
import type { RunOptions } from '../library/options.ts';
import { plannedWorkers } from '../library/workers.ts';
import type { RunConfig } from '../run/config.ts';
import { assertUsable, defaultRunPath, whyUnwritable } from '../run/run-path.ts';
import { interruptible, type TerminalOptions } from './process.ts';
import { createDisplay } from './progress.ts';

/** `train --dry-run`: opens what a run reads, says what it would do, and writes nothing (but decoded files, into the cache). */

/**
 * What a run would read and do; numbers of bytes are rough. Rejects with a UserError for what would end it before its
 * first round.
 */
async function planRun(config: RunConfig, options: RunOptions, { log, status, signal }: TerminalOptions) {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const { out: given, force = false } = options;
  const out = given ?? defaultRunPath(config.data);
  if (given !== undefined) assertUsable(given, force, { '--data': config.data });
  const unwritable = existsSync(out) ? null : whyUnwritable(out);
  if (unwritable) warn(`--out ${out} cannot be written: ${unwritable}`);
  const { specs, backend } = await plannedWorkers(config, options);
  const hooks = { warn, log, status, signal };
  const { source, leftOut } = await openRows(config, undefined, hooks);
  try {
    assertNotAmong(source, config.data, out);
    const layout = layoutFor(config, source);
    checkMemory(config, layout);
    const cost = gaussianCost(config, layout);
    if (cost) warn(cost);
    const labels = await openLabels(config, source, leftOut, undefined, hooks);
    const sampled = await sampledCounts(layout, sampleThreshold(config, layout));
    const sample = sampled.reduce((a, b) => a + b, 0);
    const memory = memoryOf(config, layout, sample, Math.min(specs.length, availableParallelism()));
    const { rows, dim, names = null, dtype, arrays = [], table } = source;
    return {
      data: config.data,
      /** The number of files, if they are several. */
      parts: table?.parts.length ?? 0,
      /** The arrays of the file, if it is one of several, with their shapes. */
      arrays,
      /** The columns of a table that name and describe rows, and those that are not used. */
      id: config.id ?? source.id ?? null,
      text: source.described?.name ?? null,
      leftOut: table?.leftOut ?? [],
      ...{ rows, columns: dim, names, type: dtype },
      labels: labels && { file: config.labels!, classes: labels.names.length, leftOut },
      transform: transformText(config, dim),
      likelihood: likelihoodOf(config, dim),
      ...{ sample, shards: layout.shards, workers: specs.length },
      backend: { name: backend.backend, why: backend.why },
      memory: { ...memory, free: freemem() },
      ...{ out, warnings },
    };
  } finally {
    source.close();
  }
}

function transformText(config: RunConfig, dim: number): string {
  if (config.transform !== 'auto') return config.transform;
  if (isUndecided(config, dim)) return 'auto: decided by the rows';
  const choice = transformChoice(config, dim);
  return `auto: ${choice === 'auto' ? 'standard' : choice}`;
}

function likelihoodOf(config: RunConfig, dim: number): string {
  if (isUndecided(config, dim) && config.likelihood === 'auto') return 'auto: decided by the rows';
  return mayBeGraph(config, dim) ? 'graph' : 'gaussian';
}

/** Names of columns that are shown, and of those that are not used. */
const MOST_NAMED = 12;
const MOST_LEFT_OUT = 5;
const count = (value: number) => value.toLocaleString('en');
const megabytes = (bytes: number) => `${count(Number((bytes / 1e6).toPrecision(2)))} MB`;

/** Prints how a run would be, as text or as one JSON object. */
export async function dryRun(config: RunConfig, options: RunOptions, json: boolean): Promise<void> {
  const { line: log, status, end } = createDisplay(config.maxEpochs);
  const planning = interruptible((signal) => planRun(config, options, { log, status, signal }));
  printPlan(await planning.finally(end), json);
}

/** Names of columns, those of the numbers of a list as one: `embedding[1] … embedding[384]`. */
function listsOnce(names: readonly string[]): string[] {
  const place = (i: number) => /^(.*)\[(\d+)\]$/s.exec(names[i] ?? '');
  const goesOn = (i: number) => {
    const [here, next] = [place(i), place(i + 1)];
    return here !== null && next !== null && here[1] === next[1] && Number(next[2]) === Number(here[2]) + 1;
  };
  const once: string[] = [];
  for (let i = 0, end = 0; i < names.length; i = end + 1) {
    for (end = i; goesOn(end); ) end++;
    once.push(end > i ? `${names[i]} … ${names[end]}` : names[i]);
  }
  return once;
}

/** With how to take one: of AnnData the principal components, if they are there. */
function arraysText(arrays: readonly string[]): string {
  const [other] = (arrays.find((array) => array.startsWith('obsm/X_pca ')) ?? arrays[1]).split(' (');
  return `${arrays.join(', ')}; choose one with --columns, such as --columns ${other}`;
}

function printPlan(plan: Awaited<ReturnType<typeof planRun>>, json: boolean): void {
  if (json) return void console.log(JSON.stringify(plan));
  const { rows, columns, names, type, labels, sample, workers, backend, memory, out } = plan;
  const named = names?.length ? `: ${firstNames(listsOnce(names), MOST_NAMED)}` : '';
  const unused = plan.leftOut.length;
  const isLabel = labels?.leftOut != null ? `; column ${labels.leftOut} is left out of the rows` : '';
  const lines: [name: string, text: string | null][] = [
    ['data', plan.parts ? `${plan.data}, ${count(plan.parts)} files` : plan.data],
    ['rows × columns', `${count(rows)} × ${count(columns)}, ${type}${named}`],
    ['arrays', plan.arrays.length > 1 ? arraysText(plan.arrays) : null],
    ['names of rows', plan.id && `column ${plan.id}`],
    ['texts of rows', plan.text],
    ['labels', labels && `${labels.file}, ${count(labels.classes)} classes${isLabel}`],
    ['not used', unused ? `${counted(unused, 'column')}: ${firstNames(plan.leftOut, MOST_LEFT_OUT)}` : null],
    ['transform', plan.transform],
    ['likelihood', plan.likelihood],
    [
      'training on',
      sample < rows
        ? `a sample of ${count(sample)} rows, or more with many clusters; all are labelled`
        : 'all rows',
    ],
    ['shards', count(plan.shards)],
    ['workers', `${count(workers)}, backend ${backend.name} (${backend.why})`],
    [
      'memory',
      `about ${megabytes(memory.worker)} for each worker, ${megabytes(memory.coordinator)} for the coordinator; ${megabytes(memory.free)} are free`,
    ],
    ['results', `${out} (a dry run: nothing was written)`],
  ];
  for (const [name, text] of lines) if (text) console.log(indentContinuation(`${name.padEnd(14)}  ${text}`));
  for (const warning of plan.warnings) console.log(indentContinuation(`warning: ${warning}`));
}
