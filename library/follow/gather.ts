import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAtomicFile, makeFolder, realPath, remove, sha256OfFile } from '../../base/files.ts';
import { escapedName } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { type FoundPart as Found, partsAt } from '../../data/parts.ts';
import { isRemote, Unreachable } from '../../data/remote/address.ts';
import { NoRows } from '../../data/source.ts';
import { openForModel } from '../../run/rows-for-model.ts';
import { knownPart } from '../../run/stream-files.ts';
import { predict } from '../predict-files.ts';
import type { Lines } from './lines.ts';
import { nameProblem, type Part, waitingIn } from './manifest.ts';
import { copyName, copyPart, fitTogether, namingPart } from './rows.ts';
import { createSettling, GROWING_MS, SETTLED_MS, sortOut } from './settled-parts.ts';
import type { FollowState } from './state.ts';

/** Gathers parts that have come into a batch. */

export interface Gathering {
  state: FollowState;
  lookout: Lookout;
  /** Time between two looks, ms. */
  pause: number;
  /** Rows that are enough for a batch; and seconds after which fewer are. */
  batchRows: number;
  every: number;
  /** Waits for nothing but parts that are being written. */
  once: boolean;
  signal?: AbortSignal;
  log: (line: string) => void;
}

/** The next batch, whose parts are copied; empty if those that wait for an update have to go first; null if there is none, or it is to end. UserError for a part that does not fit the run. */
export async function nextBatch(gathering: Gathering): Promise<Part[] | null> {
  const { state, lookout, pause, batchRows, every, once, signal, log } = gathering;
  const { trained } = state.newest();
  const [queued] = waitingIn(state.manifest());
  const parts: Part[] = [];
  let rows = 0;
  let changedAt = performance.now();
  let since = 0;
  while (!signal?.aborted) {
    const seen = new Map([...state.manifest().parts, ...parts].map((part) => [part.name, part]));
    const arrivals = await lookout(seen).catch((error) => {
      if (parts.length && error instanceof UserError) return null;
      throw error;
    });
    // A problem with others is that of the next batch.
    if (!arrivals) return parts;
    const { complete, growing } = arrivals;
    const left = new Set([...complete, ...growing].map(({ path }) => path));
    for (const found of complete) {
      if (signal?.aborted) return null;
      let part: Part | null;
      try {
        part = await take(found, parts, gathering);
      } catch (error) {
        if (signal?.aborted) return null;
        // Those before it are not held up.
        if (parts.length && error instanceof UserError) return parts;
        throw error;
      }
      if (part === null) continue;
      changedAt = performance.now();
      left.delete(found.path);
      if (part.update === null) {
        state.save({ parts: [...state.manifest().parts, part] });
        continue;
      }
      const first = queued ?? parts[0];
      if (first && !(await fitTogether(state.pathOf(first), state.pathOf(part), trained, state.run))) {
        remove(state.pathOf(part));
        return parts;
      }
      since ||= changedAt;
      parts.push(part);
      rows += part.rows;
      if (rows >= batchRows) return parts;
    }
    const now = performance.now();
    if (parts.length && now - since >= 1000 * every) return parts;
    if (once && (!left.size || now - changedAt > GROWING_MS)) {
      for (const path of left) log(`${escapedName(path)} is still being written: left for the next time`);
      return parts.length ? parts : null;
    }
    await sleep(pause, undefined, { signal }).catch(() => {});
  }
  return null;
}

/** Copies a part and checks it. One that is left out has no update. Null: it is still being written. */
async function take(found: ArrivedPart, batch: readonly Part[], gathering: Gathering): Promise<Part | null> {
  const { state, once, signal, log } = gathering;
  const { name, path, bytes, modified, age } = found;
  const { parts, updates } = state.manifest();
  const problem = found.problem ?? nameProblem(name);
  if (problem !== null) throw new UserError(`${escapedName(path)}: ${problem}; rename it`);
  const copy = copyName(parts.length + batch.length, name);
  const to = state.pathOf({ copy });
  const about = { name, copy, bytes, modified, sha256: '', rows: 0, update: updates + 1 };
  const isComplete = age >= GROWING_MS;
  if (bytes === 0) return isComplete ? leftOut(about, path, 'it has no rows', log) : null;
  if (state.isOfRun(found)) return leftOut(about, path, 'it is one of the files of the run', log);
  let part: Part | null = null;
  try {
    const copied = await copyPart(found, to, signal);
    // Else it has been written to meanwhile.
    if (copied.bytes === bytes)
      part = await checked({ ...about, sha256: copied.sha256 }, path, batch, gathering);
    return part;
  } catch (error) {
    const mayPass = error instanceof Unreachable ? !once : error instanceof UserError && !isComplete;
    if (!mayPass) throw error;
    return null;
  } finally {
    if (!part || part.update === null) remove(to);
  }
}

const leftOut = (part: Part, path: string, why: string, log: Gathering['log']): Part => {
  log(`${path}: ${why}: left out`);
  return { ...part, update: null };
};

/** The part with its rows, which are at `path` for people. UserError if they do not fit the run. */
async function checked(
  part: Part,
  path: string,
  batch: readonly Part[],
  { state, log }: Pick<Gathering, 'state' | 'log'>,
): Promise<Part> {
  const to = state.pathOf(part);
  const { sha256 } = part;
  const twin = [...state.manifest().parts, ...batch].find((own) => own.rows > 0 && own.sha256 === sha256);
  if (twin) return leftOut({ ...part, rows: twin.rows }, path, `it is the same as ${twin.name}`, log);
  try {
    const { rows } = await predict({
      ...{ run: state.newest().path, data: to },
      log: (line) => log(line.replaceAll(to, () => path)),
    });
    const own = { ...part, rows };
    return (await isInStream(to, rows, state))
      ? leftOut(own, path, 'its rows are in the run already', log)
      : own;
  } catch (error) {
    if (error instanceof NoRows) return leftOut(part, path, 'it has no rows', log);
    throw namingPart(error, to, path);
  }
}

/** The next lines as a batch; as of `nextBatch`. */
export async function nextLines(
  lines: Lines,
  { state, log }: Pick<Gathering, 'state' | 'log'>,
): Promise<Part[] | null> {
  for (;;) {
    const ending = await lines.ending();
    if (ending === null) return null;
    const { parts, updates } = state.manifest();
    const [queued] = waitingIn(state.manifest());
    if (queued && !queued.copy.endsWith(`-${lines.source}.${ending}`)) return [];
    const copy = copyName(parts.length, `${lines.source}.${ending}`);
    const to = state.pathOf({ copy });
    makeFolder(dirname(to));
    const file = createAtomicFile(to);
    let bytes = 0;
    try {
      const rows = await lines.next((piece) => {
        file.write(piece, bytes);
        bytes += piece.length;
      });
      if (rows === 0) {
        file.abort();
        return null;
      }
      const sha256 = await file.sha256();
      file.finish();
      const name = `${lines.source}-${copy.slice(0, 8)}.${ending}`;
      const about = { name, copy, bytes, modified: '', sha256, rows: 0, update: updates + 1 };
      const from = lines.where?.() ?? name;
      const part = await checked(about, from, [], { state, log }).catch((error) => {
        throw withLines(error, from, lines);
      });
      if (part.update !== null) return [part];
      state.save({ parts: [...parts, part], ...lines.position?.() });
      remove(to);
    } catch (error) {
      file.abort();
      throw error;
    }
  }
}

/** An error of rows that names the line of the input, not that of the piece. */
const withLines = (error: unknown, from: string, { lineOf }: Lines): unknown => {
  if (!lineOf || !(error instanceof UserError)) return error;
  const [before, ...others] = error.message.split(`${from} line `);
  const after = others.map((text) => text.replace(/^\d+/, (line) => String(lineOf(Number(line)))));
  return new UserError([before, ...after].join(`${from} line `), { cause: error });
};

/** Are these the rows of the first run, or of an update? */
async function isInStream(path: string, rows: number, { newest, run }: FollowState): Promise<boolean> {
  const { stream, trained } = newest();
  if (stream.parts.every((part) => part.rows !== rows)) return false;
  const source = await openForModel(trained, run, path, { skipBad: false, log() {}, warn() {} });
  const part = await knownPart(stream.parts, source).finally(source.close);
  return part !== undefined;
}

/** `age`: ms since it last changed. */
export type ArrivedPart = Found & { age: number };

/** Parts that have come and were not taken yet, in the order of their names. */
export interface Arrivals {
  complete: ArrivedPart[];
  /** Those that are still being written. */
  growing: ArrivedPart[];
}

/** Looks for parts. UserError if one of those that are taken has changed. */
export type Lookout = (taken: ReadonlyMap<string, Part>) => Promise<Arrivals>;

/** Looks in a folder, by a pattern, or below an address, but not in the follow's `own` folder. */
export function createLookout(data: string, own: string, signal?: AbortSignal): Lookout {
  const settling = createSettling();
  const below = `${realPath(own)}/`;
  // An object of a store appears at once.
  const isComplete = ({ path, age }: ArrivedPart) => isRemote(path) || age >= SETTLED_MS;
  return async (taken) => {
    const all = await partsAt(data, signal);
    const found = isRemote(data) ? all : all.filter(({ path }) => !realPath(path).startsWith(below));
    const { fresh, changed } = sortOut(settling(found, Date.now()), taken);
    for (const { part, before } of changed) if (isComplete(part)) await assertTouched(part, before);
    const growing = [...fresh, ...changed.map(({ part }) => part)].filter((part) => !isComplete(part));
    return { complete: fresh.filter(isComplete), growing };
  };
}

/** UserError unless only the time of the part has changed. */
async function assertTouched({ path, bytes }: Found, before: Part): Promise<void> {
  if (!isRemote(path) && bytes === before.bytes && (await sha256OfFile(path)) === before.sha256) return;
  const when = before.update === null ? '' : ` (update ${before.update})`;
  throw new UserError(
    `${path} has changed since it was taken${when}, and each row counts once: put new rows into a file of another name, and restore or remove this one`,
  );
}
