import type { FastifyInstance } from 'fastify';
import type { BindAddress } from '../../base/address.ts';
import { UserError } from '../../base/user-error.ts';
import type { RunComparison } from '../../view/runs.ts';
import { createGuardedApp, type Handle } from '../monitor/http/guards.ts';
import { addPageApi, addPages } from '../monitor/http/page-api.ts';
import type { Stream } from '../monitor/http/stream.ts';
import { compareRuns } from './compare.ts';
import { runTable, type ViewedRun } from './run-table.ts';
import { savedPage } from './saved-page.ts';

/** Comparisons that are kept. */
const MOST_KEPT = 1000;

/** The page of a finished run; or of several runs, which are there to be read only, a table with the page of each below it. */
export async function createViewApp(
  runs: readonly ViewedRun[],
  bound: BindAddress,
  stream: Stream,
): Promise<Handle> {
  const app = createGuardedApp({ bound, token: null });
  app.get('/favicon.ico', (_request, reply) => reply.code(204).send());
  if (runs.length === 1) addRun(app, runs[0], stream);
  else {
    addPages(app, 'runs.html');
    app.get('/api/runs', async () => runTable(runs));
    addComparisons(app, runs);
    for (const [i, run] of runs.entries()) {
      if (!run.run.result) continue;
      const prefix = `/runs/${i}`;
      app.get(prefix, async (_request, reply) => reply.redirect(`${prefix}/`));
      app.register(async (own) => addRun(own, run, stream), { prefix });
    }
  }
  await app.ready();
  return app.routing;
}

function addRun(app: FastifyInstance, { path, run }: ViewedRun, stream: Stream): void {
  addPages(app);
  addPageApi(app, savedPage(path, run), stream);
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
