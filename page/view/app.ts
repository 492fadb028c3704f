import type { RequestListener } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { BindAddress } from '../../base/address.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { UserError } from '../../base/user-error.ts';
import type { FileReaders } from '../../run/file-readers.ts';
import type { RunComparison } from '../drawing/api.ts';
import { addPages, createGuardedApp, htmlPage } from '../pages.ts';
import { picturesOf } from '../report/draw.ts';
import { gatherContents } from '../report/gather.ts';
import { reportPage } from '../report/page.ts';
import { addRows } from '../rows.ts';
import { addStream, type MessageStream } from '../stream.ts';
import { addMap, wholeMapOf } from '../whole-map.ts';
import { addMapRows, type RowData } from './map-rows.ts';
import { once } from './once.ts';
import { compareRuns, runTable, type ViewedRun } from './runs.ts';

/** Comparisons that are kept. */
const MOST_KEPT = 1000;
/** Points that a page has: on the way to this machine's own browser there is room. */
const MOST_POINTS = 20_000;

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
  const map = once(() => mapOf(viewed));
  addPages(app, page);
  addRows(app, data.source, data.texts);
  addMap(app, map);
  addMapRows(app, map, data, viewed.run.config);
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
async function mapOf({ path, run }: ViewedRun) {
  return wholeMapOf(path, run).catch((error) => {
    if (error instanceof UserError) return null;
    throw error;
  });
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
