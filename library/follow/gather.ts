import { setTimeout as sleep } from 'node:timers/promises';
import { remove } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { fingerprint } from '../../coordinator/storage/checkpoint.ts';
import { blockHashes } from '../../data/blocks.ts';
import { openForModel } from '../../data/saved/rows-for-model.ts';
import { NoRows } from '../../data/source.ts';
import { layoutOf, shardsFor } from '../../model/layout.ts';
import { predict } from '../predict.ts';
import type { FoundPart, Lookout } from './arrivals.ts';
import { GROWING_MS, type Part } from './manifest.ts';
import { copyName, copyPart, fitTogether, namingPart } from './rows.ts';
import type { FollowState } from './state.ts';

/** Gathers parts that have come into a batch. */

export interface Gathering {
  state: FollowState;
  lookout: Lookout;
  /** Rows that are enough for a batch; and seconds after which fewer are. */
  batchRows: number;
  every: number;
  /** Waits for nothing but parts that are being written. */
  once: boolean;
  signal?: AbortSignal;
  log: (line: string) => void;
}

/** Time between two looks, ms. */
const LOOK_MS = 1000;

/** The next batch, whose parts are copied; null if there is none, or it is to end. UserError for a part that does not fit the run. */
export async function nextBatch(gathering: Gathering): Promise<Part[] | null> {
  const { state, lookout, batchRows, every, once, signal, log } = gathering;
  const { trained } = state.newest();
  const parts: Part[] = [];
  let rows = 0;
  let changedAt = performance.now();
  let since = 0;
  while (!signal?.aborted) {
    const seen = new Map([...state.manifest().parts, ...parts].map((part) => [part.name, part]));
    const { complete, growing } = await lookout(seen);
    const left = new Set([...complete, ...growing].map(({ path }) => path));
    for (const found of complete) {
      if (signal?.aborted) return null;
      let part: Part | null;
      try {
        part = await take(found, parts, gathering);
      } catch (error) {
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
      if (
        parts.length &&
        !(await fitTogether(state.pathOf(parts[0]), state.pathOf(part), trained, state.run))
      ) {
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
      for (const path of left) log(`${path} is still being written: left for the next time`);
      return parts.length ? parts : null;
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
  return null;
}

/** Copies a part and checks it. One that is left out has no update. Null: it is still being written. */
async function take(
  found: FoundPart,
  batch: readonly Part[],
  { state, signal, log }: Gathering,
): Promise<Part | null> {
  const { name, path, bytes, modified, age } = found;
  const { parts, updates } = state.manifest();
  const copy = copyName(parts.length + batch.length, name);
  const to = state.pathOf({ copy });
  const about = { name, copy, bytes, modified, sha256: '', rows: 0, update: updates + 1 };
  const leftOut = (part: Part, why: string): Part => {
    log(`${path}: ${why}: left out`);
    return { ...part, update: null };
  };
  const isComplete = age >= GROWING_MS;
  const empty = 'it has no rows';
  if (bytes === 0) return isComplete ? leftOut(about, empty) : null;
  let isTaken = false;
  try {
    const copied = await copyPart(found, to, signal);
    // It has been written to meanwhile.
    if (copied.bytes !== bytes) return null;
    const part = { ...about, sha256: copied.sha256 };
    const twin = [...parts, ...batch].find((own) => own.rows > 0 && own.sha256 === part.sha256);
    if (twin) return leftOut({ ...part, rows: twin.rows }, `it is the same as ${twin.name}`);
    try {
      const { rows } = await predict({
        ...{ run: state.newest().path, data: to },
        log: (line) => log(line.replaceAll(to, path)),
      });
      if (await isInStream(to, rows, state))
        return leftOut({ ...part, rows }, 'its rows are in the run already');
      isTaken = true;
      return { ...part, rows };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (!isComplete) return null;
      if (error instanceof NoRows) return leftOut(part, empty);
      throw namingPart(error, to, path);
    }
  } finally {
    if (!isTaken) remove(to);
  }
}

/** Are these the rows of the first run, or of an update? */
async function isInStream(path: string, rows: number, { newest, run }: FollowState): Promise<boolean> {
  const { stream, trained } = newest();
  const alike = stream.parts.filter((part) => part.rows === rows);
  if (!alike.length) return false;
  const source = await openForModel(trained, run, path, { skipBad: false, log() {}, warn() {} });
  try {
    const layout = layoutOf(rows, source.dim, shardsFor('auto', rows), '0');
    const found = fingerprint(await blockHashes(source, layout));
    return alike.some((part) => part.fingerprint === found);
  } finally {
    source.close();
  }
}
