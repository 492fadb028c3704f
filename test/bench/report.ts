import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, type as system, totalmem } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './processes.ts';

/** A row of the table of benchmarks. */
export interface BenchmarkRow {
  name: string;
  what: string;
  /** Null: there is no target. */
  target: string | null;
  /** Slow: measured only when named, or with --all. */
  onRequest?: true;
  /** A row of the table with these columns, whose cells `measured` has, in place of a line. */
  columns?: string;
  measure(): Promise<RowResult>;
}

export interface RowResult {
  measured: string;
  /** Null: there is no target. */
  met: boolean | null;
}

const PATH = join(ROOT, 'test/bench/results.md');

const line = ({ name, what, columns }: BenchmarkRow, measured: string) =>
  (columns ? `| \`${name}\` ${what} | ${measured} |` : `- \`${name}\` ${what}: **${measured}**`).replaceAll(
    '\n',
    ' ',
  );

const isMiss = (verdict: RowVerdict) => verdict.startsWith('*');

export type RowVerdict = 'met' | '**missed**' | '**failed**' | 'no target' | 'not measured';

/**
 * The list in test/bench/results.md. Rows that are not measured again keep their lines as long as the machine is the same; rows that were not measured have none.
 */
export function openReport(rows: BenchmarkRow[]) {
  const machine = machineLine();
  const lines = keptLines(machine);
  return {
    add(row: BenchmarkRow, measured: string, verdict: RowVerdict): void {
      lines.set(row.name, line(row, isMiss(verdict) ? `${measured} (missed: ${row.target})` : measured));
      writeFileSync(PATH, text(machine, rows, lines));
    },
  };
}

/** The processor, memory and software of this machine, in a line. */
function machineLine(): string {
  const memory = `${(totalmem() / 2 ** 30).toFixed(1)} GiB`;
  const rows = [
    ['CPU', cpus()[0]?.model.trim() || 'unknown'],
    ['cores', String(availableParallelism())],
    ['memory', memory],
    // The version alone: kernels are built anew without another.
    ['system', `${distribution()}${system()} ${release().replace(/-.*/, '')}`],
    ['Node.js', process.version],
  ];
  return rows.map((cells) => cells.join(' ')).join('; ');
}

function distribution(): string {
  if (!existsSync('/etc/os-release')) return '';
  const match = /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'));
  return match ? `${match[1]}, ` : '';
}

/** The lines of the existing table, by row name. */
function keptLines(machine: string): Map<string, string> {
  const old = existsSync(PATH) ? readFileSync(PATH, 'utf8') : '';
  if (!old.includes(machine)) return new Map();
  return new Map([...old.matchAll(/^[-|] `([a-z0-9-]+)` .*$/gm)].map(([line, name]) => [name, line]));
}

/** The table of those rows that have columns, below its heading. */
function tableOf(rows: BenchmarkRow[], lines: Map<string, string>): string {
  const columns = rows.find((row) => row.columns)?.columns ?? '';
  const cells = rows.flatMap((row) => (row.columns && lines.get(row.name)) || []);
  return [`| ${columns} |`, columns.replace(/[^|]+/g, '---').replace(/.*/, '|$&|'), ...cells].join('\n');
}

function text(machine: string, rows: BenchmarkRow[], lines: Map<string, string>): string {
  return `# Results of \`npm run bench\`

What they say: [docs/benchmarks.md](../docs/benchmarks.md). The built command line on this machine, with two workers; seconds are of the whole process. Rows of tables and embeddings have
seeds 0 to 2: scores are medians, of tables and \`quality-mnist\` the least. Targets (\`test/bench/rows/\`) are named where missed.

${machine}

${rows.flatMap((row) => (!row.columns && lines.get(row.name)) || []).join('\n')}

Gaussians that overlap, beside scikit-learn's mixtures (\`test/bench/python/overlap.py\`, one thread and seed): K; ARI; seconds. The truth: K, and ARI of the
true posterior.

${tableOf(rows, lines)}
`;
}
