import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256OfFile } from '../../../base/files.ts';
import { openSource } from '../../../data/open.ts';
import { rowsAt } from '../../../data/remote/read-ahead.ts';
import { CODES } from '../../../data/row-parts.ts';
import type { Layout } from '../../../model/layout.ts';
import { residualOf } from '../../../model/stream/sample.ts';
import type { Residual } from '../../../model/stream/stream.ts';
import { nd } from '../../../proto/tensors.ts';
import type { Checkpoint } from '../../../run/checkpoint.ts';
import { type Encoding, encoderOf } from '../../../run/encoding.ts';
import { runFile } from '../../../run/run-file.ts';
import {
  afterClustering,
  checkEncoder,
  newEncoding,
  passesOf,
  someVectors,
  widthsOf,
} from '../encoder/encoder.ts';
import { encodeAll, encoderShards } from '../encoder/train-encoder.ts';
import { publishHashes } from '../publish.ts';
import {
  aboutCheckpoint,
  type MetadataPorts,
  metadataOf,
  type Ports,
  type RunStage,
  type RunState,
} from '../run-state.ts';
import { arePixels, assertUnchanged, firstReading } from './read.ts';

type Rows = Pick<RunState, 'source' | 'layout'>;

/** The layout in which an encoder is trained, and all rows are encoded. */
const inTraining = ({ config }: Ports<'config'>, layout: Layout): Layout => ({
  ...layout,
  shards: encoderShards(config, layout),
});

/**
 * The stages of a run that learns features: the encoder's training, the latent vectors of all rows, and, after these are clustered, the
 * decision whether the encoder learns from the clusters, when the run goes back to its training.
 */
export function encoderStages(
  context: MetadataPorts &
    Ports<
      | 'checkpoints'
      | 'check'
      | 'dispatcher'
      | 'emit'
      | 'out'
      | 'reading'
      | 'resume'
      | 'serve'
      | 'spent'
      | 'trainer'
      | 'warn'
    >,
): Record<'encode' | 'vectors' | 'alternate', RunStage> {
  const { config, layout, source, server, emit, dispatcher, trainer, out, checkpoints, serve, warn } =
    context;
  /** What workers compute on. */
  let served: 'rows' | 'rows in training' | 'vectors' = 'rows';

  function serveRows(encoding: Encoding): void {
    if (served === 'rows in training') return;
    const training = inTraining(context, layout);
    if (served === 'vectors' || training.shards !== layout.shards) serve(source, training);
    served = 'rows in training';
    publishInput(context, encoding);
  }

  async function begun(state: RunState): Promise<Encoding> {
    checkEncoder(config, widthsOf(config, layout.dim), warn);
    const data = await readForEncoder(context, { source, layout });
    assertUnchanged(context, data.hashes);
    await source.assertSameFile?.();
    const encoding = newEncoding(config, layout, data, arePixels(source));
    await out.create(runFile(metadataOf(context, state, data.hashes), null));
    return encoding;
  }

  /** Rounds read the rows from the source: no worker holds more than some of them. */
  const encode: RunStage = {
    name: 'encode',
    ended({ encoding }, isAsked) {
      if (!encoding) return null;
      const { codes, state, alternation } = encoding;
      if (codes !== null) return 'done';
      // Also in the last pass: no alternation follows then.
      if (isAsked && state.epoch > 0) return 'asked';
      return state.epoch >= passesOf(config, alternation).epochs ? 'done' : null;
    },
    async begin(state) {
      const encoding = state.encoding ?? (await begun(state));
      serveRows(encoding);
      server.usage();
      return encoding === state.encoding ? state : { ...state, encoding };
    },
    async step(state) {
      const startedAt = performance.now();
      const before = server.traffic();
      const encoding = state.encoding!;
      const trained = await trainer.encoderEpoch(config, inTraining(context, layout), encoding);
      const after = server.traffic();
      const { tasks, workers } = server.usage();
      const { epochs } = passesOf(config, encoding.alternation);
      emit({
        ...{ type: 'encoder-epoch', epoch: trained.epoch, of: epochs, loss: trained.loss! },
        ...{ wall: (performance.now() - startedAt) / 1000, seconds: tasks, workers },
        bytes: after.sent - before.sent + after.received - before.received,
      });
      return { ...state, encoding: { ...encoding, state: trained } };
    },
    end: (state, reason) => (reason === 'asked' ? { ...state, isLastAlternation: true } : state),
    checkpoint: ({ encoding }) => encoderCheckpoint(context, encoding!),
  };

  const vectors: RunStage = {
    name: 'read',
    ended: (state) => (state.source !== source ? 'done' : null),
    async step(state) {
      let encoding = state.encoding!;
      if (encoding.codes === null) {
        // Checkpoints of clusters are of other vectors.
        await checkpoints.clear();
        serveRows(encoding);
        await encodeAll(dispatcher, inTraining(context, layout), encoding.state, out);
        encoding = { ...encoding, codes: out.hashes()[CODES] };
        checkpoints.offer(encoderCheckpoint(context, encoding), true);
      }
      served = 'vectors';
      return { ...state, encoding, ...(await serveVectors(context, layout, CODES)) };
    },
  };

  const alternate: RunStage = {
    name: 'read',
    ended: ({ encoding, clusters }) =>
      !clusters || encoding!.brought.length > encoding!.alternation ? 'done' : null,
    async step(state) {
      const { clusters, ended } = state;
      const vectors = await someVectors(state.source, BigInt(config.seed));
      const found = await trainer.latentClusters(vectors, clusters!);
      const isLast = ended === 'asked' || state.isLastAlternation;
      const encoding = afterClustering(state.encoding!, found, config, isLast);
      if (encoding.codes !== null) return { ...state, encoding };
      const { alternation, brought } = encoding;
      emit({ type: 'alternation', alternation, of: config.alternations, ...brought.at(-1)! });
      checkpoints.offer(encoderCheckpoint(context, encoding), true);
      await checkpoints.flush();
      return { ...state, encoding, source, layout, data: null, run: null, clusters: null, ended: null };
    },
  };
  return { encode, vectors, alternate };
}

/** The first reading of rows that are encoded: of these only variances are needed, and none of them stays in memory. */
export const readForEncoder = (context: Ports<'check' | 'config' | 'reading' | 'source'>, rows: Rows) =>
  firstReading(
    { ...context, config: { ...context.config, likelihood: 'graph', transform: 'auto' } },
    rows,
    0,
  );

/** The latent vectors of other rows, which are written as `name` and served. */
export async function encodeRows(
  context: Ports<'config' | 'dispatcher' | 'out' | 'serve'>,
  encoding: Encoding,
  { source, layout }: Rows,
  name: string,
): Promise<Rows> {
  const { dispatcher, out, serve } = context;
  serve(source, inTraining(context, layout));
  publishInput(context, encoding);
  await encodeAll(dispatcher, inTraining(context, layout), encoding.state, out, name);
  return serveVectors(context, layout, name);
}

function publishInput({ dispatcher }: Ports<'dispatcher'>, { input, hashes }: Encoding): void {
  dispatcher.publish('encoder-input', { factor: nd(input.factor), shift: nd(input.shift) });
  publishHashes({ dispatcher }, hashes);
}

async function serveVectors(
  { out, serve }: Ports<'out' | 'serve'>,
  layout: Layout,
  name: string,
): Promise<Rows> {
  const source = await openSource(join(out.path, name));
  const rows = { source, layout: { ...layout, dim: source.dim } };
  serve(rows.source, rows.layout);
  return rows;
}

/** Multiplications for the errors of rows, which take some seconds; and rows, at least and at most. */
const [MOST_OPERATIONS, FEWEST_ROWS, MOST_ROWS] = [1e9, 500, 5000];

/** What the encoder leaves of the rows of these numbers, ascending, by some of them. `gap`: as of `Residual`. */
export async function residualOfRows(
  { source, trainer }: Ports<'source' | 'trainer'>,
  encoding: Encoding,
  rows: readonly number[],
  gap = 0,
): Promise<Residual> {
  const encoder = encoderOf(encoding);
  const most = Math.max(FEWEST_ROWS, Math.min(MOST_ROWS, MOST_OPERATIONS / encoder.params.length));
  const every = Math.ceil(rows.length / most);
  const some = rows.filter((_, i) => i % every === 0);
  return residualOf(await trainer.reconstructionErrors(encoder, await rowsAt(source, some)), gap);
}

const encoderCheckpoint = (
  context: Ports<'config' | 'layout' | 'server' | 'spent'>,
  encoding: Encoding,
): Checkpoint => ({
  stage: 'encode',
  ...aboutCheckpoint(context, context.layout),
  encoding,
});

/** The encoder of a checkpoint; without its latent vectors if their file is not there any more, or is another. */
export async function withVectors(encoding: Encoding, run: string): Promise<Encoding> {
  const path = join(run, CODES);
  const isThere =
    encoding.codes !== null && existsSync(path) && (await sha256OfFile(path)) === encoding.codes;
  return isThere ? encoding : { ...encoding, codes: null };
}
