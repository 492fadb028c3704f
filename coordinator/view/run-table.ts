import { basename, resolve } from 'node:path';
import type { RunTable } from '../../view/runs.ts';
import type { RunConfig } from '../config.ts';
import type { RunFile } from '../storage/run-file.ts';

/** A run directory and its run.json. */
export interface ViewedRun {
  path: string;
  run: RunFile;
}

/** The runs in a table: their results, and the options in which they differ. */
export function runTable(runs: readonly ViewedRun[]): RunTable {
  const names = [...new Set(runs.flatMap(({ run }) => Object.keys(run.config)))] as (keyof RunConfig)[];
  const options = names.filter((name) => new Set(runs.map(({ run }) => textOf(run.config[name]))).size > 1);
  return {
    options,
    runs: runs.map(({ path, run: { config, data, result } }) => ({
      name: basename(resolve(path)),
      out: path,
      rows: data.rows,
      columns: data.dim,
      result: result && {
        ...{ k: result.k, nmi: result.nmi, ari: result.ari, acc: result.acc },
        ...{ silhouette: result.silhouette, epochs: result.epochs, seconds: result.seconds },
      },
      options: options.map((name) => textOf(config[name])),
    })),
  };
}

const textOf = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value == null
      ? '–'
      : Array.isArray(value)
        ? value.join(',')
        : JSON.stringify(value);
