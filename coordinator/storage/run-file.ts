import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as z from 'zod/mini';
import { UserError } from '../../base/user-error.ts';
import type { Layout } from '../../model/layout.ts';
import type { Summary } from '../../view/summary.ts';
import type { RunConfig } from '../config.ts';
import { type Checkpoint, fingerprint } from './checkpoint.ts';

/** `run.json`: what is being run, and what came of it. */
const schema = z.object({
  dpmesh: z.string(),
  versions: z.record(z.string(), z.string()),
  identity: z.nullable(z.string()),
  /** What the first worker computed with, and why; `mixed`: others may have had other identities. */
  backend: z.optional(z.object({ name: z.string(), why: z.string(), mixed: z.boolean() })),
  config: z.record(z.string(), z.json()),
  data: z.object({
    rows: z.number(),
    dim: z.number(),
    dtype: z.string(),
    blockRows: z.number(),
    fingerprint: z.string(),
    /** A column of a CSV that is no data: it holds the labels. */
    leftOut: z.optional(z.string()),
  }),
  result: z.nullable(z.looseObject({ k: z.number(), out: z.string() })),
});

export type RunFile = Omit<z.infer<typeof schema>, 'result'> & { result: Summary | null };

export interface RunFacts {
  config: RunConfig;
  layout: Layout;
  dtype: string;
  leftOut: string | null;
  versions: Record<string, string>;
  identity: string | null;
  backend?: RunFile['backend'];
  hashes: Uint8Array;
}

export function runFile(facts: RunFacts, result: Summary | null): RunFile {
  const { config, layout, dtype, leftOut, versions, identity, backend, hashes } = facts;
  return {
    dpmesh: versions.dpmesh,
    versions,
    identity,
    backend,
    config: absolute(config) as unknown as RunFile['config'],
    data: {
      rows: layout.rows,
      dim: layout.dim,
      dtype,
      blockRows: layout.blockRows,
      fingerprint: fingerprint(hashes),
      ...(leftOut !== null && { leftOut }),
    },
    result,
  };
}

/** The config as it means the same from any folder. */
export function absolute(config: RunConfig): RunConfig {
  return { ...config, data: resolve(config.data), labels: config.labels && resolve(config.labels) };
}

/** The run.json of a run directory. UserError if there is none, or it is of a newer dpmesh than `version`. */
export function readRunFile(run: string, version: string): RunFile {
  const path = join(run, 'run.json');
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ENOTDIR'
    )
      throw new UserError(
        `${run} is not the directory of a run (there is no ${path}); name the --out of a run`,
      );
    throw new UserError(
      `${path} cannot be read (${(error as Error).message}); put a copy of it back, or start a new run`,
    );
  }
  const { dpmesh } = (found ?? {}) as { dpmesh?: unknown };
  if (typeof dpmesh === 'string' && isNewer(dpmesh, version))
    throw new UserError(`${run} is of dpmesh ${dpmesh}, this is ${version}; resume it with that version`);
  const checked = schema.safeParse(found);
  if (!checked.success)
    throw new UserError(
      `${path} is not what a run writes (${checked.error.issues[0].path.join('.') || 'no object'}); start a new run`,
    );
  return checked.data as RunFile;
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  const at = a.findIndex((part, i) => part !== b[i]);
  return at >= 0 && a[at] > b[at];
}

/** Why a checkpoint is not of this run, or null: same data, same config, same arithmetic. Files may have moved. */
export function foreignTo(run: RunFile): (checkpoint: Checkpoint) => string | null {
  return ({ config, found, layout, identity }) => {
    if (fingerprint(found.hashes) !== run.data.fingerprint || layout.dim !== run.data.dim)
      return 'it is of a run on other data';
    if (identity !== run.identity) return `it is of a run with ${identity}`;
    const moved = ['data', 'labels'];
    const other = Object.entries(config).find(
      ([key, value]) => !moved.includes(key) && JSON.stringify(value) !== JSON.stringify(run.config[key]),
    );
    return other ? `it is of a run with another ${other[0]}` : null;
  };
}
