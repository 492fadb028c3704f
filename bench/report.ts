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
  measure(): Promise<RowResult>;
}

export interface RowResult {
  measured: string;
  /** Null: there is no target. */
  met: boolean | null;
}

const PATH = join(ROOT, 'docs/benchmarks.md');

const line = (name: string, what: string, measured: string) =>
  `- \`${name}\` ${what}: **${measured}**`.replaceAll('\n', ' ');

const isMiss = (verdict: RowVerdict) => verdict.startsWith('*');

export type RowVerdict = 'met' | '**missed**' | '**failed**' | 'no target' | 'not measured';

/**
 * The table in docs/benchmarks.md. Rows that are not measured again keep their lines as long as the machine is the same; rows that were not measured have none.
 */
export function openReport(rows: BenchmarkRow[]) {
  const machine = machineTable();
  const lines = keptLines(machine);
  return {
    add({ name, what, target }: BenchmarkRow, measured: string, verdict: RowVerdict): void {
      lines.set(name, line(name, what, isMiss(verdict) ? `${measured} (missed: ${target})` : measured));
      writeFileSync(PATH, text(machine, rows, lines));
    },
  };
}

/** The processor, memory and software of this machine as a Markdown table. */
function machineTable(): string {
  const memory = `${(totalmem() / 2 ** 30).toFixed(1)} GiB`;
  const rows = [
    ['CPU', cpus()[0]?.model.trim() || 'unknown'],
    ['cores', String(availableParallelism())],
    ['memory', memory],
    ['system', `${distribution()}${system()} ${release()}`],
    ['Node.js', process.version],
  ];
  return ['| | |', '|---|---|', ...rows.map((cells) => `| ${cells.join(' | ')} |`)].join('\n');
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
  return new Map([...old.matchAll(/^- `([a-z0-9-]+)` .*$/gm)].map(([line, name]) => [name, line]));
}

function text(machine: string, rows: BenchmarkRow[], lines: Map<string, string>): string {
  return `# Benchmarks

Written by \`npm run bench\`. All measurements are of the built command line on this machine; targets are in \`bench/rows/\`, and said where
one is missed:

${machine}

${rows.flatMap((row) => lines.get(row.name) ?? []).join('\n')}

## How to reproduce

    npm run bench                 # all rows but those that take long; about 15 minutes on two cores
    npm run bench -- scaling      # rows by name or name prefix; the others keep their lines
    npm run bench -- --all        # all of them: big takes 2.7 GB of temporary files, encoder and tables-many up to an hour

USPS, MNIST and Fashion-MNIST are the DeepDPM authors' 10-dimensional UMAP embeddings, read from \`../shared/data\`;
rows whose data are missing are not measured. Rows of tables and embeddings have seeds 0 to 2, each of which must find that K; other
scores are medians. Rows that compare with others create a Python venv in
\`bench/.venv\`; PyTorch has one of its own, \`bench/.venv-torch\`, unless \`TORCH_PYTHON\` is a Python that has it.
Run nothing else at the same time.
`;
}
