import type { RequestListener } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { BindAddress } from '../../base/address.ts';
import { UserError } from '../../base/user-error.ts';
import type { RunComparison } from '../drawing/api.ts';
import type { MapSource } from '../drawing/map.ts';
import { type FoundMap, wholeMapOf } from '../map.ts';
import { addPages, createGuardedApp, htmlPage } from '../pages.ts';
import { addStream, type MessageStream } from '../port.ts';
import { once, type ServedRun, serveRun } from '../routes.ts';
import { compareRuns, runTable, type ViewedRun } from './compare.ts';

/** Comparisons that are kept. */
const MOST_KEPT = 1000;

/** What the data of a run say of its rows. */
export interface RowData extends Required<Pick<ServedRun, 'source' | 'texts'>> {
  /** Why texts and other columns are not shown: of the files that have them one has changed; null if none has. */
  problem(): Promise<string | null>;
  /** The map, with what they say of rows on it. */
  mapOf(found: FoundMap): MapSource;
}

/** Where what is served comes from. */
export interface ViewSources {
  /** The page of a run, with the `problem` of its data in the notes. */
  pageOf(run: ViewedRun, problem: string | null): Promise<string>;
  dataOf(run: ViewedRun): RowData;
}

/** The page of a finished run; or of several runs, which are there to be read only, a table with the page of each below it. */
export async function createViewApp(
  runs: readonly ViewedRun[],
  bound: BindAddress,
  stream: MessageStream,
  sources: ViewSources,
): Promise<RequestListener> {
  const app = createGuardedApp({ bound, token: null });
  app.get('/favicon.ico', (_request, reply) => reply.code(204).send());
  if (runs.length === 1) addRun(app, runs[0], stream, sources);
  else {
    addPages(app, 'runs.html');
    app.get('/api/runs', async () => runTable(runs));
    addComparisons(app, runs);
    for (const [i, run] of runs.entries()) {
      if (!run.run.result) continue;
      const prefix = `/runs/${i}`;
      app.get(prefix, async (_request, reply) => reply.redirect(`${prefix}/`));
      app.register(async (sub) => addRun(sub, run, stream, sources), { prefix });
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
  { pageOf, dataOf }: ViewSources,
): void {
  const data = dataOf(viewed);
  const page = once(async () => htmlPage(await pageOf(viewed, await data.problem())));
  const map = once(() => mapOf(viewed, data));
  addPages(app, page);
  serveRun(app, { ...data, map });
  addStream(app, stream);
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
