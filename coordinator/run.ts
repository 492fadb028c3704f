import { WriteError } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import type { Labels } from '../data/labels.ts';
import type { Source } from '../data/source.ts';
import { diagnoseRow, MAX_FLOAT32, MAX_MAGNITUDE } from '../data/value-range.ts';
import { block, type Layout } from '../model/layout.ts';
import type { EndReason } from '../model/schedule.ts';
import type { State } from '../model/state.ts';
import type { Emit } from '../view/events.ts';
import type { Summary } from '../view/summary.ts';
import type { RunConfig } from './config.ts';
import type { DataCheck } from './data-check.ts';
import { finish } from './finish.ts';
import type { Dispatcher } from './scheduler/dispatcher.ts';
import { FailedEverywhere } from './scheduler/router.ts';
import type { Server } from './scheduler/server.ts';
import { type Checkpoint, fingerprint, type RunTotals } from './storage/checkpoint.ts';
import type { Checkpoints, SavedCheckpoint } from './storage/checkpoints.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import { runFile, withAbsolutePaths } from './storage/run-file.ts';
import { initialState } from './training/initial-state.ts';
import { type DataMoments, momentsRound } from './training/moments.ts';
import { prepare, sampleThreshold } from './training/prepare.ts';
import { publishNet } from './training/publish.ts';
import type { Run } from './training/run-context.ts';
import { type Observer, train } from './training/train.ts';

export interface RunInput {
  config: RunConfig;
  source: Source;
  /** A column of the data that is not in `source`. */
  leftOut?: string | null;
  labels: Labels | null;
  layout: Layout;
  server: Server;
  /** Compares what workers read from their own files with the coordinator's; null: there is nothing to compare. */
  check?: DataCheck | null;
  out: RunDirectory;
  checkpoints: Checkpoints;
  /** A run goes on: from this checkpoint, or from the start, on the data that have this fingerprint. */
  resume: { from: SavedCheckpoint | null; fingerprint: string } | null;
  emit: Emit;
  warn: (message: string) => void;
  observer?: Observer;
  /** Not null: training waits for it before its next epoch, after the step that may end this one. */
  held?: () => Promise<void> | null;
  versions: Record<string, string>;
  /** Workers may differ in their bits. */
  mixed?: boolean;
}

/** What a session of a run has in hand from its first reading on. */
interface Session {
  input: RunInput;
  run: Run;
  found: DataMoments;
  /** In all sessions, until now. */
  spent: () => RunTotals;
}

/** A whole run, once its workers are there: rounds, epochs, full pass, and all that the run directory gets. */
export async function runAll(input: RunInput): Promise<Summary> {
  const { config, layout, server, out, emit, resume, source, versions } = input;
  const begun = performance.now();
  const from = resume?.from?.checkpoint ?? null;
  const dispatcher = namingData(server.dispatcher, config.data);
  const found = from?.dataSummary ?? (await firstReading(input, dispatcher));
  if (resume && fingerprint(found.hashes) !== resume.fingerprint)
    throw new UserError(
      `${config.data} has changed since the run began; put the old file back, or start a new run`,
    );
  const quiet = from !== null;
  const run = prepare({ config, layout, dispatcher, emit, warn: quiet ? () => {} : input.warn }, found);
  const sample = found.sampleRows.reduce((a, b) => a + b, 0);
  input.observer?.prepared(run, sample);
  const first = server.backend() ?? undefined;
  const facts = {
    config,
    layout,
    dtype: source.dtype,
    leftOut: input.leftOut ?? null,
    versions,
    identity: server.identity(),
    backend: first && { ...first, mixed: input.mixed === true },
    hashes: found.hashes,
  };
  await out.create(runFile(facts, null));
  if (resume)
    emit({
      type: 'resume',
      epoch: from?.state.epoch ?? 0,
      k: from?.state.mixture.k ?? config.initK,
      from: resume.from?.path ?? null,
    });
  else emit({ type: 'start', rows: layout.rows, dim: layout.dim, sample, shards: layout.shards });

  const session = { input, run, found, spent: () => spentWith(from, server, begun) };
  // Where training is over already, only the net has yet to reach the workers.
  if (from?.ended) publishNet(run, from.state.net);
  if (from) input.observer?.state(from.state);
  const rest = async () => {
    const last = from?.ended ? { state: from.state, loss: from.loss } : await trainAll(session, from);
    return finish({ ...input, run, ...last, facts, spent: session.spent });
  };
  const { check } = input;
  return check ? unless(check.watch(found.hashes), rest()) : rest();
}

/** The result, unless `watching` rejects before it is there. */
function unless<T>(watching: Promise<void>, result: Promise<T>): Promise<T> {
  return Promise.race([result, watching.then(() => result)]);
}

/** Reads all rows for the first time. */
async function firstReading(
  { config, layout, source, check }: RunInput,
  dispatcher: Dispatcher,
): Promise<DataMoments> {
  const first = await source.read(0, block(layout, 0).count);
  const origin = Float64Array.from(first.subarray(0, layout.dim), (value) =>
    Math.abs(value) <= MAX_MAGNITUDE ? value : 0,
  );
  const largest = config.transform === 'normalize' ? MAX_FLOAT32 : MAX_MAGNITUDE;
  check?.begin();
  return momentsRound(
    dispatcher,
    config,
    layout,
    origin,
    sampleThreshold(config, layout),
    (row) => diagnoseRow(source, row, largest),
    check?.staleShards,
  );
}

/**
 * What is wrong with the data, under their name, where the message does not have it.
 */
function namingData(dispatcher: Dispatcher, path: string): Dispatcher {
  return {
    publish: (name, tensors) => dispatcher.publish(name, tensors),
    abort: (error) => dispatcher.abort(error),
    round: (spec) =>
      dispatcher.round(spec).catch((error) => {
        const isAboutData = error instanceof UserError && !(error instanceof WriteError);
        if (!isAboutData || error instanceof FailedEverywhere || error.message.includes(path)) throw error;
        throw new UserError(`${path}: ${error.message}`);
      }),
  };
}

async function trainAll(
  { input, run, found, spent }: Session,
  from: Checkpoint | null,
): Promise<{ state: State; loss: number | null }> {
  const { config, layout, server, checkpoints, emit, observer, held } = input;
  let loss = from?.loss ?? null;
  const note = (state: State, now: boolean, ended: EndReason | null = null) => {
    const identity = server.identity()!;
    const about = { config: withAbsolutePaths(config), identity, layout, dataSummary: found };
    checkpoints.offer({ ...about, state, loss, ended, spent: spent() }, now);
  };
  const start = from?.state ?? (await initialState(run));
  if (!from) {
    note(start, true);
    observer?.state(start);
  }
  const smallest = Math.min(...found.sampleRows.filter((rows) => rows > 0));
  const course = train(run, start, smallest);
  // Between an epoch and the step at its end there is nothing that could be gone on from.
  let whole = true;
  for (;;) {
    if (whole) await held?.();
    const { done, value } = await course.next();
    if (done) {
      const { state, reason } = value;
      emit({ type: 'end', epoch: state.epoch, k: state.mixture.k, reason });
      note(state, true, reason);
      return { state, loss };
    }
    const { state } = value;
    if (value.type === 'epoch') {
      loss = value.losses.loss ?? loss;
      const { tasks, workers } = server.usage();
      emit({
        type: 'epoch',
        epoch: state.epoch,
        k: state.mixture.k,
        width: state.net.shapes.at(-1)![0],
        ...value.losses,
        seconds: tasks,
        workers,
      });
      observer?.epoch(state, value.losses);
    } else observer?.state(state);
    whole = value.type === 'step' || value.complete;
    if (whole) note(state, value.type === 'step');
  }
}

function spentWith(from: Checkpoint | null, server: Server, begun: number): RunTotals {
  const { rounds, rowsRead, workers } = server.totals();
  const before = from?.spent ?? { seconds: 0, rounds: 0, rowsRead: 0, workers: 0 };
  return {
    seconds: before.seconds + (performance.now() - begun) / 1000,
    rounds: before.rounds + rounds,
    rowsRead: before.rowsRead + rowsRead,
    workers: Math.max(before.workers, workers),
  };
}
