// npm run bench [-- names… | --all]: measures rows of the table, prints each as it goes, writes docs/benchmarks.md.
import { existsSync } from 'node:fs';
import { Absent } from './dpmesh.ts';
import { othersShare } from './machine.ts';
import { MAIN } from './processes.ts';
import { openReport, type Verdict } from './report.ts';
import { backendRows } from './rows/backends.ts';
import { paperRows } from './rows/paper.ts';
import { qualityRows } from './rows/quality.ts';
import type { Row } from './rows/row.ts';
import { sameBitsRows } from './rows/same-bits.ts';
import { sizeRows } from './rows/size.ts';
import { lastRows, speedRows } from './rows/speed.ts';

const rows: Row[] = [
  ...qualityRows,
  ...paperRows,
  ...sameBitsRows,
  ...speedRows,
  ...backendRows,
  ...sizeRows,
  ...lastRows,
];

/** Rows of these names, or whose names begin with them and a dash; without names, those that do not take long. */
function chosen(args: string[]): Row[] {
  if (args.includes('--all')) return rows;
  if (!args.length) return rows.filter((row) => !row.onRequest);
  const matches = (row: Row, arg: string) => row.name === arg || row.name.startsWith(`${arg}-`);
  const unknown = args.filter((arg) => !rows.some((row) => matches(row, arg)));
  if (unknown.length) {
    console.error(`there is no row ${unknown.join(', ')}; rows: ${rows.map((row) => row.name).join(', ')}`);
    process.exit(2);
  }
  return rows.filter((row) => args.some((arg) => matches(row, arg)));
}

async function measured(row: Row): Promise<[string, Verdict]> {
  try {
    const { measured, met } = await row.measure();
    return [measured, met === null ? 'no figure asked' : met ? 'met' : '**missed**'];
  } catch (error) {
    return [(error as Error).message, error instanceof Absent ? 'not measured' : '**failed**'];
  }
}

const wanted = chosen(process.argv.slice(2));
if (!existsSync(MAIN)) {
  console.error('dist/ is not built: npm run build');
  process.exit(2);
}
const report = openReport(rows);
let short = 0;
for (const row of wanted) {
  console.log(`${row.name}: ${row.what}`);
  const share = othersShare();
  const [text, verdict] = await measured(row);
  const taken = share() ?? 0;
  const others = taken > 0.05 ? `; others took ${Math.round(100 * taken)} % of the CPU` : '';
  if (verdict === '**missed**' || verdict === '**failed**') short++;
  console.log(
    `  asked ${row.asked ?? '–'}; measured ${text}: ${verdict.replaceAll('*', '').toUpperCase()}${others}`,
  );
  report.add(row, text, verdict, others);
}
console.log(
  `\n${wanted.length - short} of ${wanted.length} rows without a miss; written to docs/benchmarks.md`,
);
process.exitCode = short ? 1 : 0;
