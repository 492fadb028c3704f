import { basename, resolve } from 'node:path';
import { runFiles } from '../../data/saved/run-files.ts';
import { readSavedTree } from '../../data/saved/saved-clusters.ts';
import type { Source } from '../../data/source.ts';
import { readFittedModel } from '../../report/fitted-model.ts';
import type { History, StateOf } from '../../view/api.ts';
import { readHistory } from '../monitor/history.ts';
import type { PageData } from '../monitor/http/page-api.ts';
import { modelOf } from '../monitor/http/responses.ts';
import { type DisplaySample, readSample } from '../monitor/http/sample.ts';
import { lastLogRatios, openUnchanged } from '../report/gather.ts';
import { newestCheckpoint } from '../storage/checkpoints.ts';
import { eventsIn, linesOf } from '../storage/event-log.ts';
import { foreignTo, type RunFile } from '../storage/run-file.ts';

/** What the page of a finished run shows, from its directory. Each part is read when it is first asked for, and kept. */
export function savedPage(path: string, run: RunFile): PageData {
  const fitted = once(() => readFittedModel(path));
  const history = once(() => Buffer.from(JSON.stringify(historyOf(path))));
  const state = once(() => Buffer.from(JSON.stringify(stateOf(path, run, fitted()))));
  const sample = once(() => sampleOf(path, run, fitted()));
  const raw = once(() => sourceOf(path, run));
  return {
    info: () => ({
      name: basename(resolve(path)),
      out: path,
      status: 'done',
      config: { ...run.config },
      versions: run.versions,
      identity: run.identity,
      workers: [],
      data: { path: run.config.data, rows: run.data.rows, dim: run.data.dim, sample: null },
      controls: false,
    }),
    history: async () => history(),
    state: async () => state(),
    sample,
    // Of the codes of an encoder there is nothing to look at.
    raw: async () => (run.data.codes ? null : raw()),
  };
}

/** The value of `make`, which is called once. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function historyOf(path: string): History {
  const { epochs, events } = readHistory(linesOf(eventsIn(path))).past;
  return { epochs, events, work: [] };
}

function stateOf(path: string, run: RunFile, fitted: ReturnType<typeof readFittedModel>): StateOf {
  const { mixture, net, transform } = fitted;
  const rows = Array.from(fitted.rows);
  return {
    ...{ epoch: run.result!.epochs, frozen: 0, sizes: rows, counts: rows, sample: 1 },
    tree: readSavedTree(runFiles(path, run.files)),
    splitRatio: lastLogRatios(path, run, mixture.k),
    ...modelOf(mixture, net, transform),
  };
}

/** No points where the data are not there any more, or others. */
async function sampleOf(
  path: string,
  run: RunFile,
  { transform }: ReturnType<typeof readFittedModel>,
): Promise<DisplaySample> {
  const source = await sourceOf(path, run);
  if (!source) return { rows: 0, dim: transform.dim, values: new Float32Array(0) };
  try {
    return await readSample(source, transform);
  } finally {
    source.close();
  }
}

/** The rows that were clustered; null where they are not there any more, or others. */
function sourceOf(path: string, run: RunFile): Promise<Source | null> {
  const checkpoint = newestCheckpoint(path, foreignTo(run, run.config), () => {})?.checkpoint ?? null;
  return openUnchanged(path, { run, checkpoint, notes: [] });
}
