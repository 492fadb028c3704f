import type { RequestListener } from 'node:http';
import { basename, resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { BindAddress } from '../../base/address.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { UserError } from '../../base/user-error.ts';
import { NOISE } from '../../model/order.ts';
import { accuracy, ariOfLabels, contingency, nmiOfLabels } from '../../model/scores.ts';
import type { RunConfig } from '../../run/config.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import type { RunFile } from '../../run/run-file.ts';
import { numberOfLabel, readRunLabels, runFiles } from '../../run/run-files.ts';
import type { RunComparison, RunTable } from '../drawing/api.ts';
import type { MapSource } from '../drawing/map.ts';
import { type FoundMap, wholeMapOf } from '../map.ts';
import { addPages, createGuardedApp, htmlPage } from '../pages.ts';
import { addStream, type MessageStream } from '../port.ts';
import { crosstab } from '../report/crosstab.ts';
import { gatherContents } from '../report/gather.ts';
import { reportPage } from '../report/page.ts';
import { picturesOf } from '../report/pictures.ts';
import { once, type ServedRun, serveRun } from '../routes.ts';

/** Comparisons that are kept. */
const MOST_KEPT = 1000;
/** Points that a page has: on the way to this machine's own browser there is room. */
const MOST_POINTS = 20_000;

/** What the data of a run say of its rows. */
export interface RowData extends Required<Pick<ServedRun, 'source' | 'texts'>> {
  /** Why texts and other columns are not shown: of the files that have them one has changed; null if none has. */
  problem(): Promise<string | null>;
  /** The map, with what they say of rows on it. */
  mapOf(found: FoundMap): MapSource;
}

/** What runs were made of, which the page reads as well. */
export interface ViewInputs {
  read: FileReaders;
  dataOf(run: ViewedRun): RowData;
}

/** The page of a finished run; or of several runs, which are there to be read only, a table with the page of each below it. */
export async function createViewApp(
  runs: readonly ViewedRun[],
  bound: BindAddress,
  stream: MessageStream,
  inputs: ViewInputs,
): Promise<RequestListener> {
  const app = createGuardedApp({ bound, token: null });
  app.get('/favicon.ico', (_request, reply) => reply.code(204).send());
  if (runs.length === 1) addRun(app, runs[0], stream, inputs);
  else {
    addPages(app, 'runs.html');
    app.get('/api/runs', async () => runTable(runs));
    addComparisons(app, runs);
    for (const [i, run] of runs.entries()) {
      if (!run.run.result) continue;
      const prefix = `/runs/${i}`;
      app.get(prefix, async (_request, reply) => reply.redirect(`${prefix}/`));
      app.register(async (sub) => addRun(sub, run, stream, inputs), { prefix });
    }
  }
  await app.ready();
  return app.routing;
}

/** The report of a run, made when it is first asked for, and its rows. */
function addRun(
  app: FastifyInstance,
  viewed: ViewedRun,
  stream: MessageStream,
  { read, dataOf }: ViewInputs,
): void {
  const data = dataOf(viewed);
  const page = once(() => pageOf(viewed, data, read));
  const map = once(() => mapOf(viewed, data));
  addPages(app, page);
  serveRun(app, { ...data, map });
  addStream(app, stream);
}

async function pageOf({ path }: ViewedRun, data: RowData, read: FileReaders) {
  const inputs = { version: dpmeshVersion(), points: MOST_POINTS };
  const contents = await gatherContents(path, inputs, read);
  const problem = await data.problem();
  if (problem !== null) contents.notes.push(problem);
  // Where the run was when it ended does not matter here.
  const here = { ...contents, run: { ...contents.run, out: path } };
  return htmlPage(reportPage(here, [...picturesOf(here)], true));
}

/** Null where it is damaged, or cannot be written: the notes of the page say so. */
async function mapOf({ path, run }: ViewedRun, data: RowData): Promise<MapSource | null> {
  const found = await wholeMapOf(path, run).catch((error) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  return found && data.mapOf(found);
}

function addComparisons(app: FastifyInstance, runs: readonly ViewedRun[]): void {
  const kept = new Map<string, RunComparison>();
  app.get('/api/compare', async (request, reply) => {
    const { a, b } = request.query as { a?: string; b?: string };
    const [first, second] = [runs[Number(a)], runs[Number(b)]];
    if (!first || !second) return reply.code(404).send({ error: 'there are no such runs' });
    try {
      const key = `${Number(a)} ${Number(b)}`;
      const comparison = kept.get(key) ?? compareRuns(first, second);
      if (kept.size < MOST_KEPT) kept.set(key, comparison);
      return comparison;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return reply.code(409).send({ error: error.message });
    }
  });
}

/** Several runs beside each other: a table of them, and the clusters of two. */

/** A run directory and its run.json. */
export interface ViewedRun {
  path: string;
  run: RunFile;
}

/** The runs in a table: their results, and the options in which they differ. */
export function runTable(runs: readonly ViewedRun[]): RunTable {
  const names = [...new Set(runs.flatMap(({ run }) => Object.keys(run.config)))] as (keyof RunConfig)[];
  const options = names.filter((name) => new Set(runs.map(({ run }) => textOf(run.config[name]))).size > 1);
  return {
    options,
    runs: runs.map(({ path, run: { config, data, result } }) => ({
      name: basename(resolve(path)),
      out: path,
      rows: data.rows,
      columns: data.dim,
      result: result && {
        ...{ k: result.k, nmi: result.nmi, ari: result.ari, acc: result.acc },
        ...{ silhouette: result.silhouette, epochs: result.epochs, seconds: result.seconds },
      },
      options: options.map((name) => textOf(config[name])),
    })),
  };
}

const textOf = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value == null
      ? '–'
      : Array.isArray(value)
        ? value.join(',')
        : JSON.stringify(value);

/** A larger table shows nothing, and matching its clusters takes long. */
const MOST_CELLS = 1 << 18;

/** Compares the labels of two finished runs. UserError if they are not of the same rows, or files are damaged. */
function compareRuns(a: ViewedRun, b: ViewedRun): RunComparison {
  const [first, second] = [a.run.data, b.run.data];
  if (first.fingerprint !== second.fingerprint || first.rows !== second.rows)
    throw new UserError(`${a.path} and ${b.path} are of different rows`);
  const [own, other] = [labelsOf(a), labelsOf(b)];
  const scores = { rows: own.length, ari: ariOfLabels(own, other), nmi: nmiOfLabels(own, other) };
  const counted = a.run.result!.k * b.run.result!.k <= MOST_CELLS ? contingency(own, other) : null;
  if (!counted) return { ...scores, matched: null, table: null };
  const names = Array.from({ length: counted.classes }, (_, cluster) =>
    String(b.run.ids?.[cluster] ?? cluster),
  );
  const { clusters, classes, counts } = crosstab([...counted.counts], names, a.run.ids);
  return { ...scores, matched: accuracy(counted), table: { a: clusters, b: classes, counts } };
}

function labelsOf({ path, run }: ViewedRun): Int32Array {
  if (!run.result) throw new UserError(`${path} is not finished: it has no labels to compare`);
  runFiles(path, run.files).assertIntact('labels.npy');
  const labels = readRunLabels(path, run.data.rows).map(numberOfLabel(run.ids));
  // They are places in tables of counts.
  const { k, noise } = run.result;
  if (!labels.every((label) => (label >= 0 || (noise > 0 && label === NOISE)) && label < k))
    throw new UserError(
      `${path}/labels.npy has labels that are none of the ${k} clusters in run.json: it is damaged`,
    );
  // Noise is compared as one more cluster.
  return noise ? labels.map((label) => (label === NOISE ? k : label)) : labels;
}
