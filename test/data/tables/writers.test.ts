import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import type { TableFormat } from '../../../data/file-names.ts';
import { formatOf } from '../../../data/open.ts';
import { isHeader } from '../../../data/tables/csv-table.ts';
import { oneFile, openReader } from '../../../data/tables/formats.ts';
import { ANY_DIALECT } from '../../../data/tables/table-options.ts';
import { scratchFolder } from '../files.ts';

/** Every type of column × writer, and every codec × writer, as the writers' own readers see it: see writers.py. */

interface Told {
  rows: number;
  columns: Record<string, { nulls: number; sha256: string | null }>;
}

const { folder } = scratchFolder();
/** The first Python that has the writers; undefined where none has. */
const python = (process.env.PATH ?? '')
  .split(delimiter)
  .map((bin) => join(bin, 'python3'))
  .find((path) => spawnSync(path, ['-c', 'import duckdb, polars, pyarrow']).status === 0);

async function readBy(path: string, columns: string[]) {
  const table = await openReader(oneFile(path, formatOf(path) as TableFormat), {
    isHeaderRow: isHeader,
    isPlain: true,
    dialect: ANY_DIALECT,
  });
  const found: Told = { rows: 0, columns: {} };
  for (const name of columns) {
    const index = table.columns.findIndex((column) => column.name === name);
    const { kind, width } = table.columns[index];
    const hash = createHash('sha256');
    const all: (string | null)[] = [];
    let [rows, nulls] = [0, 0];
    const wanted = kind === 'text' ? { numbers: [], texts: [index] } : { numbers: [index], texts: [] };
    if (kind !== 'other')
      for await (const batch of table.read(wanted)) {
        rows += batch.rows;
        if (kind === 'text') all.push(...batch.texts[0]);
        for (let i = 0; i < batch.values.length; i++)
          if (Number.isNaN(batch.values[i])) {
            batch.values[i] = Number.NaN;
            nulls += 1 / width;
          }
        hash.update(Buffer.from(batch.values.buffer));
      }
    if (kind === 'text') {
      nulls = all.filter((text) => text === null).length;
      hash.update(JSON.stringify(all));
    }
    found.rows = Math.max(rows, found.rows);
    found.columns[name] = { nulls: Math.round(nulls), sha256: kind === 'other' ? null : hash.digest('hex') };
  }
  return found;
}

test('tables of every type, codec and writer have the rows, nulls and values that the writer says', {
  skip: !python && 'duckdb, polars or pyarrow is missing',
}, async () => {
  const script = new URL('writers.py', import.meta.url).pathname;
  const told: Record<string, Told> = JSON.parse(
    execFileSync(python!, [script, folder], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const wrong: string[] = [];
  for (const [name, expected] of Object.entries(told))
    try {
      const found = await readBy(join(folder, name), Object.keys(expected.columns));
      // Decimals of more than 38 digits are refused there, as dates are everywhere.
      const isRefused = name.startsWith('decimal256') && name.endsWith('.parquet');
      for (const [column, told] of Object.entries(expected.columns))
        if (!told.sha256 || (isRefused && column !== 'n'))
          expected.columns[column] = { nulls: 0, sha256: null };
      assert.deepEqual(found, expected);
    } catch (error) {
      wrong.push(`${name}: ${(error as Error).message.replaceAll('\n', ' ').slice(0, 300)}`);
    }
  assert.deepEqual(wrong, []);
});
