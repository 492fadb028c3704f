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
import type { EarlyFinish } from './early-finish.ts';
import { afterClustering } from './encoder/alternation.ts';
import { encodedRows } from './encoder/encoded-rows.ts';
import { encoderOf } from './encoder/encoder.ts';
import { finish } from './finish.ts';
import type { Continuation } from './inputs.ts';
import type { Dispatcher } from './scheduler/dispatcher.ts';
import { FailedEverywhere } from './scheduler/router.ts';
import type { Server } from './scheduler/server.ts';
import { type Checkpoint, fingerprint, type RunTotals } from './storage/checkpoint.ts';
import type { Checkpoints, SavedCheckpoint } from './storage/checkpoints.ts';
import type { EncoderCheckpoint } from './storage/encoder-checkpoint.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import { runFile, withAbsolutePaths } from './storage/run-file.ts';
import type { Calculate } from './training/calculation/calculator.ts';
import { initialState } from './training/preparation/initial-state.ts';
import { prepare } from './training/preparation/prepare.ts';
import { publishTransform } from './training/publish.ts';
import { type DataMoments, momentsRound } from './training/reading/moments.ts';
import { setOutliersApart } from './training/reading/outliers.ts';
import { isUndecided } from './training/reading/undecided.ts';
import type { Run } from './training/run-context.ts';
import { sampleThreshold } from './training/sample.ts';
import { type Observer, train } from './training/train.ts';

/** Where a resumed run continues. */
export interface ResumedInput {
  /** Null to start again. */
  from: SavedCheckpoint | null;
  /** What its data must have; null: any. */
  fingerprint: string | null;
  how: Continuation;
}

export interface RunInput {
  config: RunConfig;
  source: Source;
  /** The rows themselves, where `source` has their codes. */
  raw?: Source;
  /** The column of the data that holds the labels and is not in `source`. */
  leftOut?: string | null;
  labels: Labels | null;
  layout: Layout;
  server: Server;
  /** Compares what workers read from their own files with the coordinator's; null: there is nothing to compare. */
  check?: DataCheck | null;
  out: RunDirectory;
  checkpoints: Checkpoints;
  calculate: Calculate;
  /** Null for a new run. */
  resume: ResumedInput | null;
  /** That of the encoder of whose codes `source` consists; null: it has the rows themselves. */
  encoding?: EncoderCheckpoint | null;
  /** The totals of the sessions before this one, where no checkpoint of clusters has them. */
  before?: RunTotals | null;
  /** From now on these rows are clustered, also for workers and page. */
  serve?: (source: Source, layout: Layout) => void;
  /** Maximum seconds between checkpoints. */
  checkpointEvery?: number;
  emit: Emit;
  warn: (message: string) => void;
  observer?: Observer;
  /** If training is paused, a promise that resolves when the next epoch may begin; else null. */
  held?: () => Promise<void> | null;
  earlyFinish: EarlyFinish;
  /** The encoder was asked to end early: no alternation follows. */
  isLastAlternation?: boolean;
  /** Called when the results are written; replicates may follow. */
  written?: () => void;
  /** Ends replicates early. */
  signal?: AbortSignal;
  versions: Record<string, string>;
  /** Tells it apart from other runs of its name. */
  id: string;
  /** Workers may have different numeric identities. */
  mixed?: boolean;
}

/** What training needs once the moments are known. */
interface TrainingInput {
  input: RunInput;
  run: Run;
  moments: DataMoments;
  /** The totals of all sessions so far. */
  spent: () => RunTotals;
}

/** Runs everything that needs workers, from the moments round to the full pass, and writes the results. Returns their summary. */
export async function runAll(given: RunInput): Promise<Summary> {
  const startTime = performance.now();
  if (given.config.encoder === 'none') return clustered(given, startTime) as Promise<Summary>;
  let input = await onCodes(given, startTime);
  for (;;) {
    const end = await clustered(input, startTime);
    if (!('alternation' in end)) return end;
    input = await onCodes({ ...given, resume: null, before: input.before }, startTime, end);
  }
}

/** A summary, or how the encoder goes on. */
async function clustered(input: RunInput, startTime: number): Promise<Summary | EncoderCheckpoint> {
  return runOnce(input, aboutData(input.server.dispatcher, input.config.data), startTime);
}

/** The same run on the codes of its rows, once an encoder has been trained on these. `next`: the alternation that begins. */
async function onCodes(
  input: RunInput,
  startTime: number,
  next: EncoderCheckpoint | null = null,
): Promise<RunInput> {
  const { config, layout, source, server, out, resume, checkpoints, checkpointEvery = 0 } = input;
  const dispatcher = aboutData(server.dispatcher, config.data);
  // Of the rows themselves only variances are needed, and none of them stays in memory.
  const forEncoder: RunConfig = { ...config, likelihood: 'graph', transform: 'auto' };
  const {
    codes,
    layout: own,
    checkpoint: encoding,
    wasThere,
    wasAsked,
    before,
  } = await encodedRows(
    {
      ...{ config, layout, server, out, emit: input.emit, warn: input.warn, dispatcher, checkpointEvery },
      arePixels: arePixels(source),
      earlyFinish: input.earlyFinish,
      finishesAtOnce: !next && resume?.how === 'finish',
      serve: (own) => input.serve?.(source, own),
      forget: checkpoints.clear,
      before: input.before ?? null,
      totals: (spent) => totalsSince(spent, server, startTime),
      moments: async () => {
        const data = await firstReading({ ...input, config: forEncoder }, dispatcher, 0);
        assertUnchanged(config, data.hashes, resume);
        await source.assertSameFile?.();
        return data;
      },
      assertOfRun: (hashes) => assertUnchanged(config, hashes, resume),
      create: (hashes) =>
        out.create(runFile({ ...metadataOf(input), hashes, fences: null, likelihood: null }, null)),
    },
    next,
  );
  input.serve?.(codes, own);
  const from = (wasThere && resume?.from) || null;
  return {
    ...input,
    ...{ raw: source, source: codes, layout: own, check: null, encoding },
    resume: resume && { ...resume, from, fingerprint: null },
    isLastAlternation: wasAsked,
    before: from?.checkpoint.spent ?? before,
  };
}

/** Are rows images of bytes? Arrays of other numbers may be anything, such as what several sensors measure over time. */
const arePixels = ({ shape, dtype }: Source) => shape !== undefined && dtype === 'uint8';

function assertUnchanged({ data }: RunConfig, hashes: Uint8Array, resume: RunInput['resume']): void {
  if (resume?.fingerprint && fingerprint(hashes) !== resume.fingerprint)
    throw new UserError(`${data} has changed since the run began; restore the old file, or start a new run`);
}

/** What run.json says of a run before anything is read, of its rows rather than of their codes. */
function metadataOf({
  config,
  layout,
  source,
  raw = source,
  leftOut,
  versions,
  id,
  server,
  mixed,
  encoding,
}: RunInput) {
  const backend = server.backend() ?? undefined;
  return {
    id,
    config,
    layout: encoding?.layout ?? layout,
    dtype: raw.dtype,
    shape: raw.shape,
    table: raw.table,
    leftOut: leftOut ?? null,
    versions,
    identity: server.identity(),
    backend: backend && { ...backend, mixed: mixed === true },
  };
}

async function runOnce(
  input: RunInput,
  dispatcher: Dispatcher,
  startTime: number,
): Promise<Summary | EncoderCheckpoint> {
  const { config, layout, server, out, checkpoints, calculate, emit, resume, source } = input;
  const checkpoint = resume?.from?.checkpoint ?? null;
  // A run that continues from a checkpoint has emitted these warnings before.
  const warn = checkpoint ? () => {} : input.warn;
  const sampled = sampleThreshold(config, layout);
  const moments =
    checkpoint?.dataSummary ??
    (await setOutliersApart(
      { config, layout, dispatcher, calculate, sample: sampled },
      await firstReading(input, dispatcher),
    ));
  assertUnchanged(config, moments.hashes, resume);
  const run = await prepare(
    {
      ...{ config, layout, dispatcher, calculate, emit, warn },
      ...{ names: source.names ?? null, arePixels: arePixels(source) },
    },
    moments,
  );
  // Workers opened it by its path, each when it joined: some may have read another file than others.
  if (!checkpoint) await source.assertSameFile?.();
  const sample = moments.sampleRows.reduce((a, b) => a + b, 0);
  input.observer?.prepared(run, sample);
  const { encoding = null } = input;
  const metadata = {
    ...metadataOf(input),
    hashes: encoding?.hashes ?? moments.hashes,
    codes: encoding && { hashes: moments.hashes, dim: layout.dim },
    fences: moments.fences,
    likelihood: run.why === null ? null : { name: run.likelihood.name, why: run.why },
  };
  await out.create(runFile(metadata, null));
  if (encoding) out.json('run.json', runFile(metadata, null));
  if (resume)
    emit({
      type: 'resume',
      epoch: checkpoint?.state.epoch ?? 0,
      k: checkpoint?.state.mixture.k ?? run.likelihood.initK,
      from: resume.from?.path ?? null,
    });
  else if (!encoding?.alternation)
    emit({ type: 'start', rows: layout.rows, dim: metadata.layout.dim, sample, shards: layout.shards });
  const { why } = run;
  if (!checkpoint && why !== null) emit({ type: 'likelihood', likelihood: run.likelihood.name, why });

  // At once: what was computed before is in another folder, and a kill must leave it in this one too.
  if (checkpoint && !checkpoints.saved()) checkpoints.offer(checkpoint, true);
  const spent = () => totalsSince(checkpoint?.spent ?? input.before ?? null, server, startTime);
  if (checkpoint) input.observer?.state(checkpoint.state);
  const ended = checkpoint && stillEnded(checkpoint, config, resume);
  const rest = async () => {
    // The tree of merges needs the sample that training ended with.
    if (ended && checkpoint.state.sample.below !== run.sample.below)
      publishTransform(run, checkpoint.state.sample.below);
    const { state, reason } = ended
      ? { state: checkpoint.state, reason: ended }
      : await trainAll({ input, run, moments, spent }, checkpoint);
    const isLast = reason === 'asked' || input.isLastAlternation === true;
    const alternation =
      encoding && config.alternations
        ? await afterClustering({ config, emit, codes: source, isLast }, encoding, run, state)
        : null;
    if (alternation?.next) return alternation.next;
    const { brought } = alternation ?? {};
    const encoder = encoding && encoderOf(encoding);
    // From now on the results of a run that went on beyond its end are replaced.
    if (resume?.how === 'beyond') out.json('run.json', runFile(metadata, null));
    return finish({ ...input, encoder, run, state, reason, data: moments, metadata, spent, brought });
  };
  const watched = input.check?.watch(moments.hashes).then(() => new Promise<never>(() => {}));
  return watched ? Promise.race([rest(), watched]) : rest();
}

/** Why the training of this checkpoint has ended, if it does not go on now: its limit may have been raised. */
function stillEnded({ ended, state }: Checkpoint, { maxEpochs }: RunConfig, resume: RunInput['resume']) {
  if (ended === 'max-epochs' && state.epoch < maxEpochs) return null;
  return ended === 'asked' && resume?.how === 'beyond' ? null : ended;
}

/** Reads all rows for the first time: the moments round. */
async function firstReading(
  { config, layout, source, calculate, check, server }: RunInput,
  dispatcher: Dispatcher,
  sample = sampleThreshold(config, layout),
): Promise<DataMoments> {
  const firstBlock = await source.read(0, block(layout, 0).count);
  const origin = Float64Array.from(firstBlock.subarray(0, layout.dim), (value) =>
    Math.abs(value) <= MAX_MAGNITUDE ? value : 0,
  );
  const max = config.transform === 'normalize' ? MAX_FLOAT32 : MAX_MAGNITUDE;
  check?.begin();
  const diagnose = (row: number) => diagnoseRow(source, row, max);
  const input = {
    dispatcher,
    calculate,
    diagnose,
    describe: server.describe,
    staleShards: check?.staleShards,
  };
  return momentsRound(input, config, layout, origin, sample);
}

/**
 * Rounds whose UserErrors have the path of the data before them, unless they contain it already: they are about the data, and
 * a worker that reads rows from the coordinator does not know the path.
 */
function aboutData(dispatcher: Dispatcher, path: string): Dispatcher {
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
  { input, run, moments, spent }: TrainingInput,
  checkpoint: Checkpoint | null,
): Promise<{ state: State; reason: EndReason }> {
  const { config, layout, server, checkpoints, emit, observer, held, earlyFinish } = input;
  const offerCheckpoint = (state: State, now: boolean, ended: EndReason | null = null) => {
    const identity = server.identity()!;
    const fixed = {
      ...{ config: withAbsolutePaths(config), identity, layout, dataSummary: moments },
      transform: isUndecided(config, layout.dim) ? run.transform : null,
    };
    checkpoints.offer({ ...fixed, state, ended, spent: spent() }, now);
  };
  const start = checkpoint?.state ?? (await initialState(run));
  if (!checkpoint) {
    offerCheckpoint(start, true);
    observer?.state(start);
  }
  const end = (state: State, reason: EndReason) => {
    emit({ type: 'end', epoch: state.epoch, k: state.mixture.k, reason });
    offerCheckpoint(state, true, reason);
    return { state, reason };
  };
  earlyFinish.enter('training');
  const asked = earlyFinish.asked();
  if (checkpoint && input.resume?.how === 'finish') earlyFinish.ask();
  const training = train(run, start);
  let state = start;
  // Between an epoch and the step that follows it, the state is incomplete: no run could resume from it.
  let isComplete = true;
  for (;;) {
    const pause = isComplete && held?.();
    if (pause) await Promise.race([pause, aborted(asked)]);
    // Before the first epoch the net knows no cluster.
    if (isComplete && asked.aborted && state.epoch > 0) return end(state, 'asked');
    const { done, value } = await training.next();
    if (done) return end(value.state, value.reason);
    state = value.state;
    if (value.type === 'epoch') {
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
    isComplete = value.type === 'step' || value.complete;
    if (isComplete) offerCheckpoint(state, value.type === 'step');
  }
}

/** Resolves when the signal aborts. */
const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The totals of this session, added to those of the sessions before. */
function totalsSince(spent: RunTotals | null, server: Server, startTime: number): RunTotals {
  const { rounds, rowsRead, workers } = server.totals();
  const before = spent ?? { seconds: 0, rounds: 0, rowsRead: 0, workers: 0 };
  return {
    seconds: before.seconds + (performance.now() - startTime) / 1000,
    rounds: before.rounds + rounds,
    rowsRead: before.rowsRead + rowsRead,
    workers: Math.max(before.workers, workers),
  };
}
