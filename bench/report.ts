import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineTable, revision } from './machine.ts';
import { ROOT } from './processes.ts';
import type { BenchmarkRow } from './rows/row.ts';

const PATH = join(ROOT, 'docs/benchmarks.md');

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;

export type RowVerdict = 'met' | '**missed**' | '**failed**' | 'no target' | 'not measured';

/**
 * The table in docs/benchmarks.md. Rows that are not measured again keep their lines as long as the machine is the same;
 * each line has the day and the commit.
 */
export function openReport(rows: BenchmarkRow[]) {
  const machine = machineTable();
  const lines = keptLines(machine);
  const when = `${new Date().toISOString().slice(0, 10)} ${revision()}`.trim();
  return {
    add({ name, what, target }: BenchmarkRow, measured: string, verdict: RowVerdict, note: string): void {
      lines.set(name, line([`\`${name}\``, what, target ?? '–', measured, verdict, when + note]));
      writeFileSync(PATH, text(machine, rows, lines));
    },
  };
}

/** The lines of the existing table, by row name. */
function keptLines(machine: string): Map<string, string> {
  const old = existsSync(PATH) ? readFileSync(PATH, 'utf8') : '';
  if (!old.includes(machine)) return new Map();
  return new Map([...old.matchAll(/^\| `([a-z0-9-]+)` \|.*$/gm)].map(([line, name]) => [name, line]));
}

function text(machine: string, rows: BenchmarkRow[], lines: Map<string, string>): string {
  const missing = rows.filter((row) => !lines.has(row.name)).map((row) => `\`${row.name}\``);
  return `# Benchmarks

Written by \`npm run bench\`. All measurements are of the built command line on this machine:

${machine}

A measurement that misses its target is marked **missed**.

| row | what | target | measured | verdict | day, commit |
|---|---|---|---|---|---|
${rows.flatMap((row) => lines.get(row.name) ?? []).join('\n')}
${missing.length ? `\nNot measured on this machine yet: ${missing.join(', ')}.\n` : ''}
## How to reproduce

    npm ci
    npm run bench                 # all rows but big, paper, tables-many and most of encoder; about 15 minutes on two cores
    npm run bench -- scaling      # rows by name or name prefix; the others keep their lines
    npm run bench -- big          # 20,000,000 rows: 2.7 GB in the temporary folder
    npm run bench -- tables       # tables with known clusters, few of them like a textbook's
    npm run bench -- embeddings   # rows of many columns: embeddings, images, Gaussians in up to 384-D
    npm run bench -- tables-many  # 200 to 2,000 clusters: up to an hour
    npm run bench -- encoder      # training of an auto-encoder: 1,000,000 rows, a slow link, PyTorch; up to an hour
    npm run bench -- raw-mnist-peers  # beside UMAP with HDBSCAN, and with a mixture
    npm run bench:paper           # the paper's own schedule: about 5 minutes
    npm run bench -- --all        # all of them

USPS, MNIST and Fashion-MNIST are the DeepDPM authors' 10-dimensional UMAP embeddings, read from \`../shared/data\`;
rows whose data are missing are reported as not measured. Rows that compare with scikit-learn or numpy, or
have \`bench/python/tables.py\` make their data, create a Python venv in \`bench/.venv\` (versions:
\`bench/python/requirements.txt\`). PyTorch has one of its own, \`bench/.venv-torch\` (0.7 GB for processors alone, several with
CUDA, which some indexes give by default), unless \`TORCH_PYTHON\` is a Python that has it.
Run nothing else at the same time; a line notes if other processes used more than 5 % of the CPU.

Not in the table: \`npm run bench:kernels\` times the matrix products and training steps of each backend;
\`npm run bench:page\` how soon the live page of 200 clusters and 20,000 points shows its first picture.
`;
}
