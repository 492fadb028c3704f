import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, remove, WriteError } from '../../base/files.ts';
import { withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { drawnRows, driftBetween, earlierRows, rowsFor } from '../../coordinator/fit/drift.ts';
import { changedColumn, driftText } from '../../coordinator/update/drift-text.ts';
import { writeNpy } from '../../data/npy.ts';
import { openSource } from '../../data/open.ts';
import { isRemote, Unreachable } from '../../data/remote/address.ts';
import { rowsAt } from '../../data/remote/read-ahead.ts';
import { headerTest } from '../../data/tables/open-table.ts';
import { assertOptions, fixedPaths, HOOKS, type OptionKinds } from '../../library/arguments.ts';
import type { UpdateOptions } from '../../library/options.ts';
import { update } from '../../library/update.ts';
import { concat } from '../../model/arrays.ts';
import { alarmsOf } from '../../model/stream/drift.ts';
import type { Lineage } from '../../model/stream/findings.ts';
import { weightAfter } from '../../model/stream/sample.ts';
import { clusterIds } from '../../model/stream/stream.ts';
import { hasKeptTexts } from '../../run/base-run.ts';
import { kindsOf, settingsOf } from '../../run/option.ts';
import { openForModel, tableForModel } from '../../run/rows-for-model.ts';
import { readRunFile } from '../../run/run-file.ts';
import { readRunLabels } from '../../run/run-files.ts';
import { SAMPLE } from '../../run/stream-files.ts';
import { predict } from '../predict-files.ts';
import { type Arrivals, createLookout, type Lookout, nextBatch, nextLines } from './gather.ts';
import { createTopicLines, isTopic, openTopic, type Topic } from './kafka.ts';
import { createLines, type Lines } from './lines.ts';
import { type Batch, type Part, rowsIn, waitingIn } from './manifest.ts';
import type { FollowMetrics } from './metrics.ts';
import { COMPUTING, FOLLOW, FOLLOW_OPTIONS, type FollowedBatch, type FollowOptions } from './options.ts';
import { joined } from './rows.ts';
import { type FollowState, openState } from './state.ts';

const KINDS: OptionKinds<FollowOptions> = {
  run: 'string',
  ...kindsOf(FOLLOW),
  signal: HOOKS.signal,
  log: HOOKS.log,
};

const NOTHING: Arrivals = { complete: [], growing: [] };
/** Time between two looks for parts, ms; a store is paid for each. */
const [LOOK_MS, REMOTE_LOOK_MS] = [1000, 10_000];

/**
 * Updates a run with the rows of files as they arrive, batch by batch: an async iterable of what was done. Each part counts once, also if the process is
 * killed: called again with the same options, it goes on, to the same bytes. To end it, leave the loop, or abort `signal`: it
 * then ends between two batches.
 *
 * @throws {UserError} if there is no such run, it cannot be updated, or a part does not fit it or has changed since it was taken
 */
export async function* follow(options: FollowOptions): AsyncGenerator<FollowedBatch, void, undefined> {
  assertOptions('follow', options, KINDS, ['run', 'data']);
  const { batchRows, every, lazy, halfLife = null, once } = settingsOf(FOLLOW_OPTIONS, options);
  const { run, data, out, http, signal, log = () => {} } = options;
  if (typeof data !== 'string' && !(data && Symbol.asyncIterator in data))
    throw new UserError('follow: data must be a path, or an async iterable of bytes');
  const computing = Object.fromEntries(
    Object.keys(COMPUTING).map((name) => [name, options[name as keyof typeof COMPUTING]]),
  );
  const { fix, naming, asGiven } = fixedPaths();
  const told = (line: string) => log(asGiven(line));
  const path = withoutEnd(run, /[\\/]/, 1);
  const folder = fix(out ?? `${path}-follow`);
  const topic = isTopic(data) ? await openTopic(data) : null;
  const state = await naming(() => openState(folder, fix(path)));
  const { manifest, newest, labelsOf } = state;
  let metrics: FollowMetrics | null = null;
  try {
    if (http !== undefined) {
      metrics = await (await import('./metrics.ts')).openMetrics(http, folder);
      told(`metrics at ${metrics.url}`);
    }
    const isFiles = typeof data === 'string' && !topic;
    const files = isFiles ? createLookout(fix(data), folder, signal) : async () => NOTHING;
    const lookout: Lookout = async (taken) => {
      const arrivals = await files(taken).catch((error) => {
        if (once || !(error instanceof Unreachable)) throw error;
        told(`dpmesh: warning: ${error.message}`);
        return NOTHING;
      });
      metrics?.waiting([...arrivals.complete, ...arrivals.growing]);
      return arrivals;
    };
    told(
      `follows ${typeof data === 'string' ? data : 'standard input'}: ${rowsIn(manifest().parts)} rows taken so far, in ${manifest().updates} updates`,
    );
    if (!newest().hasTexts && hasKeptTexts(newest().path))
      told('parts have no column of texts: words stay those of earlier rows');
    const isHeaderRow = headerTest(tableForModel(newest().trained, newest().path));
    const pause = typeof data === 'string' && isRemote(data) ? REMOTE_LOOK_MS : LOOK_MS;
    const separator = newest().trained.table.sep;
    const reading = { rows: batchRows, every, separator, signal };
    let lines: Lines | null = null;
    if (topic)
      lines = createTopicLines(topic, { ...reading, from: offsetsOf(topic, state), once, pause, log: told });
    else if (typeof data !== 'string') lines = createLines(data, { ...reading, isHeaderRow });
    const gathering = { state, lookout, pause, batchRows, every, once, signal, log: told };
    const next = async (): Promise<FollowedBatch | null> => {
      if (!manifest().batch) {
        const parts = await (lines ? nextLines(lines, gathering) : nextBatch(gathering));
        if (!parts) return null;
        const due =
          lazy === undefined ? { trains: true, alarm: null } : await isDue(state, parts, lazy, halfLife);
        state.save({ batch: { parts, ...due, halfLife }, ...lines?.position?.() });
      }
      const startTime = performance.now();
      const { parts, trains, ...how } = manifest().batch!;
      const changes = await takeIn(state, { parts, trains, ...how }, { ...computing, log: told }).catch(
        (error: unknown) => {
          // Else its rows would be in the way once they are mended. Lines cannot be: what of them was read comes only once.
          const canBeMended = error instanceof UserError && !(error instanceof WriteError);
          if (canBeMended && !areLines(parts)) state.dropBatch();
          throw error;
        },
      );
      const seconds = (performance.now() - startTime) / 1000;
      // A problem with others is that of the next batch.
      const { complete, growing } = await lookout(
        new Map(manifest().parts.map((part) => [part.name, part])),
      ).catch(() => NOTHING);
      const done = {
        ...{ run: asGiven(newest().path), update: manifest().updates, trained: trains },
        parts: parts.map(({ name }) => name),
        labels: parts.map((part) => asGiven(labelsOf(part))),
        ...{ rows: rowsIn(parts), k: clusterIds(newest().stream).length, ...changes },
        ...{ waiting: complete.length + growing.length, seconds },
      };
      metrics?.done(done, rowsIn(waitingIn(manifest())));
      return done;
    };
    for (let done = await naming(next); done; done = await naming(next)) yield done;
  } finally {
    metrics?.close();
    state.close();
    await topic?.close();
  }
}

/** Are these lines of a stream, not files? They have no time. */
const areLines = (parts: readonly Part[]): boolean => parts.some(({ modified }) => modified === '');

/** From which the topic is to be read on. UserError if the follow is that of another one. */
function offsetsOf({ name }: Topic, { folder, manifest }: FollowState): number[] {
  const { topic = name, offsets = [] } = manifest().kafka ?? {};
  if (topic !== name)
    throw new UserError(`${folder} follows the topic ${topic}, not ${name}: choose another --out`);
  return offsets;
}

/** Takes a batch into the run, and writes the labels of its parts. All of it gives the same bytes when it is done again. */

/** Options of an update that a follow hands on. */
export type Computing = Omit<
  UpdateOptions,
  'run' | 'data' | 'labels' | 'text' | 'texts' | 'halfLife' | 'out' | 'signal' | 'http'
>;

/** What a batch has changed. */
export interface Changes {
  born: number[];
  gone: number[];
  alarm: string | null;
}

/** Does what is to be done with the batch. */
export async function takeIn(state: FollowState, batch: Batch, computing: Computing): Promise<Changes> {
  const { updates, parts } = state.manifest();
  const taken = [...parts, ...batch.parts];
  if (!batch.trains) {
    try {
      for (const part of batch.parts)
        await predict({
          run: state.newest().path,
          data: state.pathOf(part),
          out: placeOf(part),
          force: true,
        });
    } finally {
      state.assertRun();
    }
    state.save({ parts: taken, batch: null });
    return { born: [], gone: [], alarm: batch.alarm };
  }
  const number = updates + 1;
  const out = state.directory(number);
  const data = joined(state.rowsOf(number));
  const names = batch.parts.map(({ name }) => name).join(', ');
  const log = (line: string) => computing.log?.(line.replaceAll(data, () => names));
  if (!isComplete(out)) {
    // Begun by a process that was killed: it takes seconds to do it again.
    remove(out);
    const run = update({
      ...{ ...computing, run: state.newest().path, data, out, log, report: false },
      ...(!state.newest().hasTexts && { texts: null }),
      ...(batch.halfLife !== null && { halfLife: batch.halfLife }),
    });
    try {
      for await (const event of run) if (event.type === 'warning') log(`dpmesh: warning: ${event.message}`);
      await run.closed;
    } finally {
      state.assertRun();
    }
  }
  let at = rowsIn(waitingIn(state.manifest()));
  const labels = readRunLabels(out, at + rowsIn(batch.parts));
  for (const part of batch.parts) {
    writeNpy(placeOf(part), '<i4', [part.rows], labels.subarray(at, at + part.rows));
    at += part.rows;
  }
  state.save({ updates: number, parts: taken, batch: null });
  const { alarm } = state.newest().stream;
  return { ...changesIn(out), alarm: batch.alarm ?? alarm?.replaceAll(data, () => names) ?? null };

  function placeOf(part: Part): string {
    const path = state.labelsOf(part);
    makeFolder(join(path, '..'));
    return path;
  }
}

const isComplete = (run: string): boolean =>
  existsSync(join(run, 'run.json')) && readRunFile(run).result !== null;

/** The clusters that an update has found, and those that are there no longer. */
function changesIn(run: string): { born: number[]; gone: number[] } {
  const { lineage } = JSON.parse(readFileSync(join(run, 'lineage.json'), 'utf8')) as { lineage: Lineage[] };
  const those = (...kinds: Lineage['what'][]) =>
    lineage.filter(({ what }) => kinds.includes(what)).map(({ id }) => id);
  return { born: those('born', 'split', 'returned'), gone: those('gone', 'merged') };
}

/** Whether a batch is trained on at once, or its rows wait for more. */

/** Operations for log-densities of rows: some hundredths of a second. */
const MOST_OPERATIONS = 2e7;

/**
 * An update is due once rows that wait have this share of the weight of all, or are as many as the sample has; or if the rows of these parts are unlike those
 * before.
 */
export async function isDue(
  state: FollowState,
  parts: readonly Part[],
  share: number,
  halfLife: number | null,
): Promise<{ trains: boolean; alarm: string | null }> {
  const { stream } = state.newest();
  const rows = rowsIn([...waitingIn(state.manifest()), ...parts]);
  const weight = weightAfter(stream.weight, rows, halfLife);
  const isEnough = weight.rows >= share * (weight.before + weight.rows) || rows >= stream.most;
  if (isEnough || !parts.length) return { trains: true, alarm: null };
  const alarm = await alarmOf(state, parts);
  return { trains: alarm !== null, alarm };
}

/** How the rows of these parts are unlike those of the sample; null if they are not, or with an encoder or a graph, where only an update finds out. */
async function alarmOf(state: FollowState, parts: readonly Part[]): Promise<string | null> {
  const { path, base, trained, stream } = state.newest();
  if (trained.encoder || base.state.graph) return null;
  const most = rowsFor(MOST_OPERATIONS, base.state);
  const sample = await openSource(join(path, SAMPLE));
  const before = await earlierRows(sample, most).finally(sample.close);
  const fresh: Float32Array[] = [];
  for (const part of parts) {
    const quiet = { skipBad: false, log() {}, warn() {} };
    const source = await openForModel(trained, state.run, state.pathOf(part), quiet);
    const drawn = drawnRows(source, Math.ceil(most / parts.length), String(stream.updates));
    fresh.push(await rowsAt(source, drawn).finally(source.close));
  }
  const now = concat(fresh, Float32Array);
  const { drift } = driftBetween(base.transform!, base.state, before, now);
  const alarms = alarmsOf(drift);
  if (!alarms.length) return null;
  const columns = { dim: trained.transform.input, names: trained.names };
  const names = parts.map(({ name }) => name).join(', ');
  return driftText(names, drift, alarms, changedColumn(columns, before, now));
}
