import { WriteError } from '../../base/files.ts';
import { withoutEnd } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { isRemote, Unreachable } from '../../data/remote/address.ts';
import { headerTest } from '../../data/tables/open-table.ts';
import { assertOptions, fixedPaths, type OptionKinds } from '../../library/arguments.ts';
import type { RunOptions } from '../../library/options.ts';
import { kindsOf, RUN_OPTION_KINDS } from '../../library/train.ts';
import { tableForModel } from '../../run/rows-for-model.ts';
import { hasKeptTexts } from '../../run/texts-of-sample.ts';
import { FOLLOW_OPTIONS, valuesOf } from '../../run/update-options.ts';
import { type Arrivals, createLookout, type Lookout, nextBatch, nextLines } from './gather.ts';
import { createTopicLines, isTopic, openTopic, type Topic } from './kafka.ts';
import { isDue } from './lazy.ts';
import { createLines, type Lines } from './lines.ts';
import { type Part, rowsIn, waitingIn } from './manifest.ts';
import type { FollowMetrics } from './metrics.ts';
import type { FollowedBatch, FollowOptions } from './options.ts';
import { type FollowState, openState } from './state.ts';
import { takeIn } from './work.ts';

const COMPUTING = ['workers', 'gpus', 'perGpu', 'backend', 'requireGpu', 'gpu'] as const;
const OF_RUN = [...COMPUTING, 'signal', 'log'] as const;
const KINDS: OptionKinds<FollowOptions> = {
  ...{ run: 'string', data: 'any', out: 'output' },
  ...kindsOf(FOLLOW_OPTIONS),
  http: 'string',
  ...(Object.fromEntries(OF_RUN.map((name) => [name, RUN_OPTION_KINDS[name]])) as Pick<
    OptionKinds<RunOptions>,
    (typeof OF_RUN)[number]
  >),
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
  const { batchRows, every, lazy, halfLife, once } = valuesOf(FOLLOW_OPTIONS, options);
  const { run, data, out, http, signal, log = () => {} } = options;
  if (typeof data !== 'string' && !(data && Symbol.asyncIterator in data))
    throw new UserError('follow: data must be a path, or an async iterable of bytes');
  const computing = Object.fromEntries(COMPUTING.map((name) => [name, options[name]]));
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
        const due = lazy === null ? { trains: true, alarm: null } : await isDue(state, parts, lazy, halfLife);
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
        ...{ rows: rowsIn(parts), k: newest().stream.ids.length, ...changes },
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
