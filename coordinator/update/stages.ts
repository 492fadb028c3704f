import { join } from 'node:path';
import { openSource } from '../../data/open.ts';
import { readBase } from '../../run/base-run.ts';
import { runFile } from '../../run/run-file.ts';
import { readDrawn, readStream, SAMPLE, trainedEncoder } from '../../run/stream-files.ts';
import { layoutFor } from '../fit/preparation/limits.ts';
import { publishTransform } from '../fit/publish.ts';
import type { Prepared } from '../fit/run-context.ts';
import { metadataOf, type RunContext, type RunStage } from '../fit/run-state.ts';
import { readForEncoder } from '../fit/stages/encode.ts';
import { updatedMap } from '../fit/stages/map.ts';
import { aboutColumns, announce, assertUnchanged, firstReading, goOn } from '../fit/stages/read.ts';
import { clustersBefore, unchangedClusters } from './clusters-before.ts';
import { assertNewRows, drawRows } from './drawn-rows.ts';
import { labelStage } from './label.ts';

/**
 * Updates: a run whose clusters go on from those of an earlier run, trained on a bounded sample of all rows so far, and which labels new rows
 * (docs/algorithm.md, section 13).
 */

/**
 * The stages of an update, in place of those of a run: the sample is drawn, training prepared on it, and in the end its rows get their
 * clusters, these their ids, and the new rows their labels.
 */
export function updateStages(context: RunContext): Record<'begin' | 'draw' | 'prepare' | 'label', RunStage> {
  const { config, trainer, out, dispatcher, observer, serve, update: request } = context;

  /** With an encoder: it is that of the run before. */
  const begin: RunStage = {
    name: 'read',
    ended: ({ encoding }) => (encoding ? 'done' : null),
    async step(state) {
      const { hashes } = await readForEncoder(context, state);
      assertUnchanged(context, hashes);
      const { stream, encoder } = readBase(request!, (at) => {
        const stream = readStream(at).stream!;
        return { stream, encoder: trainedEncoder(at, stream) };
      });
      const encoding = { ...encoder, hashes, codes: null };
      await assertNewRows(context, hashes, stream);
      await out.create(runFile(metadataOf(context, state, hashes), null));
      return { ...state, encoding };
    },
  };

  const draw: RunStage = {
    name: 'read',
    ended: ({ update }) => (update ? 'done' : null),
    async step(state) {
      const saved = state.clusters && readDrawn(out);
      const read = saved?.dataSummary ?? (await firstReading(context, state, 0));
      const { hashes } = state.encoding ?? read;
      assertUnchanged(context, hashes);
      const base = saved ?? (await drawRows(context, request!, read, state));
      const sample = await openSource(join(out.path, SAMPLE));
      const layout = layoutFor(config, sample, true);
      const { stream, transform } = base;
      const about = { rows: state, read, stream: stream!, transform: transform!, state: base.state };
      const drawn = { sample, layout, ...about };
      const unchanged = await unchangedClusters(context, drawn);
      const update = { ...drawn, unchanged, before: () => clustersBefore(drawn) };
      serve(sample, layout);
      return { ...state, update, source: sample, layout };
    },
  };

  const prepare: RunStage = {
    name: 'read',
    ended: ({ run }) => (run ? 'done' : null),
    async step(state) {
      const { clusters } = state;
      const { sample, layout, stream, transform, state: base, read } = state.update!;
      const { covariance, weight } = stream;
      const likelihood = base.graph ? ('graph' as const) : ('gaussian' as const);
      // Copies are few of the rows that still count; merges are of all that were seen.
      const seen = base.graph ? weight : stream.seen;
      const same = { likelihood, transform, covariance, seen, prior: base.prior } as const;
      const isRead = state.data !== null;
      let data = state.data ?? (await firstReading(context, state, 1));
      let run: Prepared;
      if (request!.refit) {
        // As a first run of the rows of the sample.
        const alone = { ...config, likelihood, sample: 0 };
        if (!isRead) data = await trainer.setOutliersApart({ config: alone, layout, sample: 1 }, data);
        const about = await aboutColumns(alone, context.source, state.encoding ? null : sample);
        run = await trainer.prepare({ config: alone, layout, ...about, isQuiet: isRead }, data, likelihood);
      } else run = await trainer.prepareUpdate({ config, layout, ...same }, data);
      observer?.prepared(run, sample.rows);
      const map = updatedMap(context, state.update!, run.transform);
      const next = { ...state, data, run, map };
      const { hashes } = state.encoding ?? read;
      out.json('run.json', runFile(metadataOf(context, next, hashes), null));
      announce(context, clusters, (clusters ?? base).mixture.k, sample.rows);
      if (clusters) goOn(context, clusters);
      if (clusters?.graph?.copies) publishTransform({ dispatcher, transform }, 1, clusters.graph.copies);
      return next;
    },
  };

  return { begin, draw, prepare, label: labelStage(context) };
}
