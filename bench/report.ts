import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineTable, revision } from './machine.ts';
import { ROOT } from './processes.ts';
import type { Row } from './rows/row.ts';

const PATH = join(ROOT, 'docs/benchmarks.md');

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const line = (cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;

export type Verdict = 'met' | '**missed**' | '**failed**' | 'no figure asked' | 'not measured';

/**
 * The table as docs/benchmarks.md holds it. Rows not measured again keep their line, as long as the machine is the
 * same; each says of which day and state of the code it is.
 */
export function openReport(rows: Row[]) {
  const machine = machineTable();
  const lines = keptLines(machine);
  const when = `${new Date().toISOString().slice(0, 10)} ${revision()}`.trim();
  return {
    add({ name, what, asked }: Row, measured: string, verdict: Verdict, others: string): void {
      lines.set(name, line([`\`${name}\``, what, asked ?? '–', measured, verdict, when + others]));
      writeFileSync(PATH, text(machine, rows, lines));
    },
  };
}

/** Lines of the table by the names of their rows, from the file as it is. */
function keptLines(machine: string): Map<string, string> {
  const old = existsSync(PATH) ? readFileSync(PATH, 'utf8') : '';
  if (!old.includes(machine)) return new Map();
  return new Map([...old.matchAll(/^\| `([a-z-]+)` \|.*$/gm)].map((found) => [found[1], found[0]]));
}

function text(machine: string, rows: Row[], lines: Map<string, string>): string {
  const missing = rows.filter((row) => !lines.has(row.name)).map((row) => `\`${row.name}\``);
  return `# Benchmarks

Written by \`npm run bench\`. Every figure comes from the built command line, on this machine:

${machine}

A figure that misses its target (*asked*) stays here as **missed**.

| row | what | asked | measured | verdict | day, code |
|---|---|---|---|---|---|
${rows.flatMap((row) => lines.get(row.name) ?? []).join('\n')}
${missing.length ? `\nNot measured on this machine yet: ${missing.join(', ')}.\n` : ''}
## How to repeat it

    npm ci
    npm run bench                 # every row but big and those of paper; about 10 minutes on two cores
    npm run bench -- scaling      # rows by name or the beginning of their names; the others keep their lines
    npm run bench -- big          # 20,000,000 rows: 2.7 GB in the temporary folder
    npm run bench:paper           # the paper's own schedule: about 5 minutes
    npm run bench -- --all        # all of them

USPS, MNIST and Fashion-MNIST are the DeepDPM authors' 10-dimensional UMAP embeddings, read from \`../shared/data\`;
rows whose data are missing are left out, with a message. Rows that compare with scikit-learn or numpy create a Python venv
in \`bench/.venv\` (versions: \`bench/requirements.txt\`). Run nothing else at the same time; there is a message if other processes
took more than a twentieth of the processors' time.

Not in the table: \`npm run bench:kernels\` times the products and steps of each backend.
`;
}
