import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { ioError, makeFolder, readWhole, WriteError, writeFile } from '../base/files.ts';
import { openWithSpares } from '../base/limits.ts';
import { UserError } from '../base/user-error.ts';
import { fingerprint } from '../data/blocks.ts';
import { decoderNet } from '../model/nets/autoencoder.ts';
import { layersOf, logits } from '../model/nets/net.ts';
import { MAX_MESSAGE } from '../proto/task-limits.ts';
import {
  type Checkpoint,
  type ClusterCheckpoint,
  DamagedCheckpoint,
  decodeCheckpoint,
  type EncoderCheckpoint,
  encodeCheckpoint,
  epochOf,
  hashesOf,
} from './checkpoint.ts';
import type { RunConfig } from './config.ts';
import { assertConsistent } from './consistent.ts';
import type { Emit } from './events.ts';
import { differing, PATHS, type RunFile } from './run-file.ts';
import { isFolder } from './run-path.ts';

/**
 * Checkpoint files in the folder `checkpoints` of a run directory: when they are written, and reading them. Those of clusters are
 * one per epoch, of which some are kept; there is one of the encoder.
 */

const MAX_KEPT = 3;
/** As `checkpointName` makes them, of an exact number. */
const NAME = /^epoch-(\d{6}|[1-9]\d{6,14})\.ckpt$/;

const ENCODER = 'encoder.ckpt';

export interface SavedCheckpoint {
  path: string;
  checkpoint: ClusterCheckpoint;
}

export const checkpointFolder = (run: string) => join(run, 'checkpoints');
export const checkpointName = (epoch: number) => `epoch-${String(epoch).padStart(6, '0')}.ckpt`;
const nameOf = (checkpoint: Checkpoint) =>
  checkpoint.stage === 'encode' ? ENCODER : checkpointName(epochOf(checkpoint));

export type Checkpoints = ReturnType<typeof createCheckpoints>;

export interface CheckpointsOptions {
  /** The run directory. */
  run: string;
  /** That of run.json. */
  id: string;
  /** Seconds; 0: at the end of every epoch. */
  every: number;
  emit: Emit;
  warn: (message: string) => void;
  /** Throws where the run's path leads elsewhere by now: then nothing is written or removed. */
  assertThere?: () => void;
  /** The newest checkpoint already on disk. */
  saved?: SavedCheckpoint | null;
  /** Monotonic clock, ms. */
  now?: () => number;
}

/** Decides when checkpoints are written. States are immutable, so writing does not block training. */
export function createCheckpoints(options: CheckpointsOptions) {
  const { run, id, every, emit, warn, assertThere = () => {}, now = () => performance.now() } = options;
  const folder = checkpointFolder(run);
  const warned = new Set<string>();
  let lastWrite = now();
  type Stages<T> = Map<Checkpoint['stage'], T>;
  const newest: Stages<Checkpoint> = new Map();
  /** The next to be written: it replaces an older one of its stage that is still waiting. */
  const pending: Stages<Checkpoint> = new Map();
  const saved: Stages<{ path: string; checkpoint: Checkpoint }> = new Map();
  if (options.saved) saved.set('cluster', options.saved);
  let rescued = rescueFolders(id).filter((folder) => existsSync(folder));
  let writing: Promise<void> | null = null;

  const isDisplaced = () => !works(assertThere);

  async function save(checkpoint: Checkpoint): Promise<void> {
    const { stage } = checkpoint;
    const epoch = epochOf(checkpoint);
    const startedAt = now();
    try {
      const { path, bytes } = await saveCheckpoint(folder, checkpoint, assertThere);
      // Unless it was forgotten meanwhile.
      if (newest.has(stage)) saved.set(stage, { path, checkpoint });
      await removeRescued();
      emit({ type: 'checkpoint', epoch, bytes, seconds: (now() - startedAt) / 1000 });
    } catch (error) {
      if (isDisplaced()) return;
      const reason = error instanceof WriteError ? error.reason : (error as Error).message;
      emit({ type: 'checkpoint-failed', epoch, reason });
      if (!warned.has(reason)) {
        warned.add(reason);
        const what = stage === 'encode' ? 'encoder' : 'checkpoint';
        warn(`the ${what} of epoch ${epoch} cannot be saved in ${folder}: ${reason}; training continues`);
      }
    }
  }

  function write(): Promise<void> {
    writing ??= (async () => {
      for (const [stage, next] of pending) {
        pending.delete(stage);
        await save(next);
      }
      writing = null;
    })();
    return writing;
  }

  async function removeRescued(): Promise<void> {
    const folders = rescued;
    rescued = [];
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }).catch(() => {})));
  }

  const unsaved = () =>
    [...newest.values()].filter((checkpoint) => checkpoint !== saved.get(checkpoint.stage)?.checkpoint);

  return {
    /** Offers the run's current state. It is written if `urgent`, or if the last write started at least `every` seconds ago. */
    offer(checkpoint: Checkpoint, urgent: boolean): void {
      newest.set(checkpoint.stage, checkpoint);
      if (!urgent && now() - lastWrite < every * 1000) return;
      lastWrite = now();
      pending.set(checkpoint.stage, checkpoint);
      void write();
    },
    /** Writes the newest checkpoints that were offered, if not saved yet. Resolves when done, to whether they are saved. */
    async flush(): Promise<boolean> {
      await writing;
      const missing = unsaved();
      for (const checkpoint of missing) pending.set(checkpoint.stage, checkpoint);
      if (missing.length) await write();
      return newest.size > 0 && !unsaved().length;
    },
    /** Forgets those of clusters and removes their files: what comes next is of other rows. */
    async clear(): Promise<void> {
      for (const checkpoints of [newest, pending, saved]) checkpoints.delete('cluster');
      await writing;
      await removeOthers(folder, [], assertThere);
    },
    /** The newest checkpoint of clusters on disk. */
    saved: () => (saved.get('cluster') as SavedCheckpoint | undefined) ?? null,
    /** Removes what `rescue` has saved: the run is complete. */
    removeRescued,
    /**
     * As a last resort, saves the newest checkpoint outside of the run directory. Resolves to its path, and whether `resume` finds
     * it by itself; null if that fails too.
     */
    async rescue() {
      const checkpoint = newest.get('cluster');
      if (!checkpoint) return null;
      const parts = await encodeCheckpoint(checkpoint);
      const name = nameOf(checkpoint);
      // Readable by this user only: the last folder is shared with others.
      const writeAt = (path: string) =>
        writeFile(path, parts, { mode: 0o600 }).then(
          () => true,
          () => false,
        );
      for (const folder of rescueFolders(id)) {
        const path = join(folder, name);
        const make = () => mkdirSync(folder, { recursive: true, mode: 0o700 });
        if (!works(make) || !(await writeAt(path))) continue;
        rescued.push(folder);
        return { path, isFound: true };
      }
      const path = join(tmpdir(), `dpmesh-${basename(resolve(run))}-${process.pid}-${name}`);
      return (await writeAt(path)) ? { path, isFound: false } : null;
    },
  };
}

/**
 * Where a checkpoint of the run with this id can be saved if its own disk is full, best first: folders that outlive this process, and
 * that are this user's alone. systemd gives a service folders that outlive it; its temporary ones are removed.
 */
function rescueFolders(id: string): string[] {
  const { STATE_DIRECTORY, RUNTIME_DIRECTORY, XDG_STATE_HOME } = process.env;
  const ofService = [STATE_DIRECTORY, RUNTIME_DIRECTORY].flatMap((folders) => folders?.split(':') ?? []);
  const ofUser = join(XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'dpmesh');
  return [...ofService, ofUser].filter(isAbsolute).map((folder) => join(folder, `rescued-${id}`));
}

function works(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes a checkpoint durably, then removes all but the newest three, and those of later epochs: they are from a session
 * whose work was lost. Rejects with a WriteError if the disk cannot be written. `assertThere`: as of `createCheckpoints`.
 */
export async function saveCheckpoint(
  folder: string,
  checkpoint: Checkpoint,
  assertThere = () => {},
): Promise<{ path: string; bytes: number }> {
  const path = join(folder, nameOf(checkpoint));
  // One that would be refused must not replace one that can be read.
  if (checkpoint.stage === 'cluster') assertConsistent(checkpoint);
  const parts = await encodeCheckpoint(checkpoint);
  assertThere();
  makeFolder(folder);
  const bytes = await writeFile(path, parts, { before: assertThere });
  if (checkpoint.stage === 'encode') return { path, bytes };
  const { epoch } = checkpoint.state;
  const kept = epochsIn(folder)
    .filter((other) => other <= epoch)
    .sort((a, b) => b - a)
    .slice(0, MAX_KEPT);
  // Failing to remove old ones is harmless.
  await removeOthers(folder, kept, assertThere).catch(() => assertThere());
  return { path, bytes };
}

/** Removes the checkpoints of all epochs but these. */
async function removeOthers(folder: string, kept: number[], assertThere: () => void): Promise<void> {
  if (!isFolder(folder)) return;
  assertThere();
  const others = epochsIn(folder).filter((epoch) => !kept.includes(epoch));
  await Promise.all(others.map((epoch) => rm(join(folder, checkpointName(epoch)), { force: true })));
}

function epochsIn(folder: string): number[] {
  try {
    const names = openWithSpares(() => readdirSync(folder));
    return names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
  } catch (error) {
    throw ioError(folder, 'read', error);
  }
}

/**
 * The newest checkpoint that is intact; null if there is none. A warning names each one that is skipped because it is
 * damaged. `mismatch` returns why a checkpoint does not belong to the run: UserError for the first such one, though older than
 * the newest, because a run that began or continued here would remove it. `id`: that of the run, whose checkpoints may also lie where they were saved when its
 * disk was full.
 */
export function newestCheckpoint(
  run: string,
  mismatch: (checkpoint: Checkpoint) => string | null,
  warn: (message: string) => void,
  { id }: { id?: string } = {},
): SavedCheckpoint | null {
  const usual = checkpointFolder(run);
  const rescued = id === undefined ? [] : rescueFolders(id).filter((folder) => existsSync(folder));
  const folders = [...(isFolder(usual) ? [usual] : []), ...rescued];
  const files = folders
    .flatMap((folder) => epochsIn(folder).map((epoch) => ({ folder, epoch })))
    .sort((a, b) => b.epoch - a.epoch);
  let newest: SavedCheckpoint | null = null;
  for (const [i, { folder, epoch }] of files.entries()) {
    const path = join(folder, checkpointName(epoch));
    const result = read('cluster', path, folder === usual ? run : folder);
    if ('checkpoint' in result) {
      const remedy =
        'nothing was changed: put the run.json of this run back, or move the checkpoints of the other run elsewhere';
      assertOwn(path, run, mismatch(result.checkpoint), remedy);
      newest ??= { path, ...result };
    } else {
      const next = i + 1 < files.length ? 'trying the one before it' : 'there is no earlier one';
      if (!newest) warn(`${path} cannot be used: ${result.problem}; ${next}`);
    }
  }
  return newest;
}

/** Reads a checkpoint of clusters; returns it, or why it cannot be used. */
export function readCheckpoint(path: string): SavedCheckpoint | { problem: string } {
  const result = read('cluster', path);
  return 'checkpoint' in result ? { path, ...result } : result;
}

/**
 * The checkpoint of the encoder of a run directory; null if there is none, or it is damaged, after a warning. UserError if it is
 * `mismatch`: see `newestCheckpoint`.
 */
export function readEncoder(
  run: string,
  mismatch: (checkpoint: Checkpoint) => string | null,
  warn: (message: string) => void,
): EncoderCheckpoint | null {
  const path = encoderFile(run);
  if (!existsSync(path)) return null;
  const result = read('encode', path, run);
  if (!('checkpoint' in result)) {
    warn(`${path} cannot be used: ${result.problem}; the encoder is trained again`);
    return null;
  }
  const { checkpoint } = result;
  assertOwn(path, run, mismatch(checkpoint), 'move it elsewhere, or start a new run');
  return checkpoint;
}

/** The file of a run directory. */
export const encoderFile = (run: string) => join(checkpointFolder(run), ENCODER);

/** The checkpoint of the encoder of a run directory, or why it cannot be used. */
export const readEncoderIn = (run: string) => read('encode', encoderFile(run), run);

/** A function from latent vectors to raw rows by the decoder of a run directory; null if its file is missing or damaged. */
export function savedDecoder(run: string): ((vectors: Float32Array) => Float32Array) | null {
  const result = readEncoderIn(run);
  if (!('checkpoint' in result)) return null;
  const { input, state } = result.checkpoint.encoding;
  const layers = layersOf(decoderNet(state));
  const { factor, shift } = input;
  return (vectors) =>
    logits(layers, vectors).map((value, i) => {
      const j = i % factor.length;
      return factor[j] ? (value - shift[j]) / factor[j] : 0;
    });
}

interface Unusable {
  problem: string;
}

function assertOwn(path: string, run: string, difference: string | null, remedy: string): void {
  if (difference)
    throw new UserError(`${path} is of another run than ${join(run, 'run.json')}: ${difference}; ${remedy}`);
}

/** Reads a checkpoint of a stage; `within`: the run directory that it must lie in. */
function read<S extends Checkpoint['stage']>(
  stage: S,
  path: string,
  within?: string,
): { checkpoint: Extract<Checkpoint, { stage: S }> } | Unusable {
  try {
    const checkpoint = decodeCheckpoint(readWhole(path, MAX_MESSAGE, { within }));
    if (checkpoint.stage === stage) return { checkpoint: checkpoint as Extract<Checkpoint, { stage: S }> };
    return { problem: `it is of ${stage === 'encode' ? 'clusters' : 'an encoder'}` };
  } catch (error) {
    if (error instanceof DamagedCheckpoint) return { problem: error.message };
    const cause = ioError(basename(path), 'read', error);
    if (cause instanceof UserError) return { problem: cause.message };
    throw error;
  }
}

/** With a limit, which decides where training ends, not how it gets there. */
const NOT_COMPARED = [...PATHS, 'maxEpochs'];

/**
 * What a checkpoint has that differs from the run, for people; null if it belongs to the run: the fingerprint of the rows,
 * the numeric identity and all options that determine its training, but for its limit, agree. `config`: the run's.
 */
export function mismatchWith(
  { data, identity }: Pick<RunFile, 'data' | 'identity'>,
  config: RunConfig,
): (checkpoint: Checkpoint) => string | null {
  return (checkpoint) => {
    const { layout, stage } = checkpoint;
    const rows = stage === 'encode' ? data : { ...data, ...data.codes, ...data.sample };
    if (fingerprint(hashesOf(checkpoint)) !== rows.fingerprint || layout.dim !== rows.dim)
      return 'it was computed from other rows than those of run.json';
    const expected = { ...config, numericIdentity: identity };
    const found = { ...checkpoint.config, numericIdentity: checkpoint.identity };
    const [first, ...others] = differing(found, expected, NOT_COMPARED);
    if (!first) return null;
    const more = others.length ? ` (and ${others.length} more differ)` : '';
    const [name, value, other] = first;
    return `its ${name} is ${shown(value)}, that of run.json is ${shown(other)}${more}`;
  };
}

/** Characters of a value in a message. */
const MOST_SHOWN = 40;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}
