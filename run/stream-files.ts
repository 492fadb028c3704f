import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { remove, writeFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { blockHashes, fingerprint } from '../data/blocks.ts';
import { absolute } from '../data/remote/address.ts';
import type { Source } from '../data/source.ts';
import { type Layout, layoutOf } from '../model/layout.ts';
import type { Stream, StreamPart } from '../model/stream/stream.ts';
import { KEPT_TEXTS, STATE } from './base-run.ts';
import { type ClusterCheckpoint, encodeCheckpoint } from './checkpoint.ts';
import { readCheckpoint, readEncoderIn } from './checkpoints.ts';
import type { RunConfig } from './config.ts';
import type { Encoding } from './encoding.ts';
import type { RunDirectory } from './run-directory.ts';
import { recordedHashes, runFiles } from './run-files.ts';

/**
 * The folder `stream` of a run directory: from what updates go on. The rows of the sample as they are in their files, the state at the end of the run,
 * and, while an update is in progress, the state with which it began.
 */
export const SAMPLE = 'stream/sample.npy';
const DRAWN = 'stream/drawn.ckpt';

/** The data of a run, in its manifest. */
export const partOf = (
  { data }: RunConfig,
  { rows, shards }: Layout,
  hashes: Uint8Array,
  update: number,
): StreamPart => ({
  update,
  data: absolute(data),
  ...{ rows, shards },
  fingerprint: fingerprint(hashes),
});

/** Blocks do not depend on it. */
const ANY_SEED = '0';

/** The part that has these rows; undefined if none does. `known`: their fingerprints by the number of shards, which gets those that are computed. */
export async function knownPart(
  parts: readonly StreamPart[],
  source: Source,
  known = new Map<number, string>(),
): Promise<StreamPart | undefined> {
  for (const part of parts) {
    if (part.rows !== source.rows) continue;
    const { shards } = part;
    if (!known.has(shards)) {
      const layout = layoutOf(source.rows, source.dim, shards, ANY_SEED);
      known.set(shards, fingerprint(await blockHashes(source, layout)));
    }
    if (known.get(shards) === part.fingerprint) return part;
  }
  return undefined;
}

export async function writeState(out: RunDirectory, checkpoint: ClusterCheckpoint): Promise<void> {
  out.bytes(STATE, Buffer.concat(await encodeCheckpoint(checkpoint)));
}

/** What an update has drawn, once its sample is there. As of a checkpoint, the run does not keep it. */
export async function writeDrawn(out: RunDirectory, checkpoint: ClusterCheckpoint): Promise<void> {
  await writeFile(join(out.path, DRAWN), await encodeCheckpoint(checkpoint), { before: out.assertThere });
}

export const removeDrawn = ({ path }: RunDirectory): void => remove(join(path, DRAWN));

/** What the update in this directory had drawn before it was stopped; null if it had not come so far. */
export function readDrawn({ path: run, adopt }: RunDirectory): ClusterCheckpoint | null {
  const path = join(run, DRAWN);
  if (!existsSync(path) || !existsSync(join(run, SAMPLE))) return null;
  for (const name of [SAMPLE, KEPT_TEXTS]) if (existsSync(join(run, name))) adopt(name);
  const saved = readCheckpoint(path);
  return 'checkpoint' in saved && saved.checkpoint.stream ? saved.checkpoint : null;
}

/** The state from which a finished run goes on. UserError if it has none. */
export function readStream(run: string): ClusterCheckpoint {
  const path = join(run, STATE);
  const refused = (why: string) => refusal(run, why);
  if (!existsSync(path) || !existsSync(join(run, SAMPLE))) throw refused('it has kept no sample of its rows');
  const files = runFiles(run, recordedHashes(run));
  for (const name of [SAMPLE, STATE]) files.assertIntact(name);
  if (files.has(KEPT_TEXTS)) files.assertIntact(KEPT_TEXTS);
  const saved = readCheckpoint(path);
  if ('problem' in saved) throw refused(saved.problem);
  if (!saved.checkpoint.stream || !saved.checkpoint.transform)
    throw refused(`${path} is none of a finished run`);
  return saved.checkpoint;
}

/** The encoder of a finished run, which its updates have too. UserError if its file is not there, or damaged. */
export function trainedEncoder(run: string, { residual }: Stream): Encoding {
  if (!residual) throw refusal(run, `${join(run, STATE)} is not of a run with an encoder`);
  const found = readEncoderIn(run);
  if ('problem' in found) throw refusal(run, found.problem);
  return found.checkpoint.encoding;
}

const refusal = (run: string, why: string) =>
  new UserError(`${run} cannot be updated: ${why}; train anew with dpmesh train`);
