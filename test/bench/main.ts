// npm run bench [-- names… | --all]: measures rows of the table, prints each result and writes test/bench/results.md.
import { existsSync } from 'node:fs';
import { NotAvailable } from './dpmesh.ts';
import { MAIN } from './processes.ts';
import { type BenchmarkRow, openReport, type RowVerdict } from './report.ts';
import { encoderRows } from './rows/encoder.ts';
import { knownRows } from './rows/known.ts';
import { scaleRows } from './rows/scale.ts';
import { serveRows } from './rows/serve.ts';
import { shapeRows } from './rows/shapes.ts';
import { sizeRows } from './rows/size.ts';
import { speedRows } from './rows/speed.ts';
import { wordRows } from './rows/words.ts';

const rows: BenchmarkRow[] = [
  ...knownRows,
  ...speedRows,
  ...shapeRows,
  ...sizeRows,
  ...wordRows,
  ...scaleRows,
  ...serveRows,
  ...encoderRows,
];

/** Rows with these names, or with names that begin with one and a dash; without names, those not on request only. */
function selectRows(args: string[]): BenchmarkRow[] {
  if (args.includes('--all')) return rows;
  if (!args.length) return rows.filter((row) => !row.onRequest);
  const matches = (row: BenchmarkRow, arg: string) => row.name === arg || row.name.startsWith(`${arg}-`);
  const unknown = args.filter((arg) => !rows.some((row) => matches(row, arg)));
  if (unknown.length) {
    console.error(`unknown row ${unknown.join(', ')}; rows: ${rows.map((row) => row.name).join(', ')}`);
    process.exit(2);
  }
  return rows.filter((row) => args.some((arg) => matches(row, arg)));
}

async function measure(row: BenchmarkRow): Promise<[string, RowVerdict]> {
  try {
    const { measured, met } = await row.measure();
    return [measured, met === null ? 'no target' : met ? 'met' : '**missed**'];
  } catch (error) {
    return [(error as Error).message, error instanceof NotAvailable ? 'not measured' : '**failed**'];
  }
}

const selected = selectRows(process.argv.slice(2));
if (!existsSync(MAIN)) {
  console.error('dist/ is not built: npm run build');
  process.exit(2);
}
const report = openReport(rows);
const missed: string[] = [];
for (const row of selected) {
  console.log(`${row.name}: ${row.what}`);
  const [text, verdict] = await measure(row);
  if (verdict === '**missed**' || verdict === '**failed**') missed.push(row.name);
  console.log(
    `  target ${row.target ?? '–'}; measured ${text}: ${verdict.replaceAll('*', '').toUpperCase()}`,
  );
  report.add(row, text, verdict);
}
console.log(
  `\n${selected.length - missed.length} of ${selected.length} rows without a miss; written to test/bench/results.md`,
);
if (missed.length) console.log(`missed or failed: ${missed.join(', ')}`);
process.exitCode = missed.length ? 1 : 0;
