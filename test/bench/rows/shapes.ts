// Clusters of any shape: sets of the user, and made ones, beside other methods.
import { basename, join, resolve } from 'node:path';
import { readNpy } from '../../../data/npy.ts';
import { ari, contingency } from '../../../model/scores.ts';
import { formatScore, NotAvailable, note, scratch, train } from '../dpmesh.ts';
import { python } from '../python.ts';
import type { BenchmarkRow, RowResult } from '../report.ts';

/** `ari`: the best of a set's labellings. */
interface Run {
  k: number;
  ari: number;
  seconds: number;
}

const PEERS = {
  hdbscan: 'HDBSCAN',
  'hdbscan-1': 'HDBSCAN with clusters of 1 %',
  bic: 'Gaussian mixture by BIC',
  genie: 'Genie told K',
};

/** A set as shapes.py describes it. */
interface ShapeSet {
  name: string;
  /** Of a made one. */
  kind: string | null;
  data: string;
  labels: string[];
  methods: Record<keyof typeof PEERS, Run>;
}

/** ARI of the labels of the rows that are no noise (0). */
function ariOf(labels: ArrayLike<number>, truth: ArrayLike<number>): number {
  const known = Array.from(truth, (_, row) => row).filter((row) => truth[row] > 0);
  // -1 is a row of no cluster.
  const own = known.map((row) => labels[row] + 1);
  return ari(
    contingency(
      own,
      known.map((row) => truth[row]),
    ),
  );
}

/** A run that fails has found nothing. */
async function ownRun({ data, labels }: ShapeSet): Promise<Run> {
  const run = await train({ data }, ['--workers', 2, '--no-report'], { minutes: 20 }).catch((error) =>
    note(`${basename(data)} FAILED: ${error.message}`),
  );
  if (!run) return { k: 0, ari: 0, seconds: 0 };
  const own = readNpy(join(run.out, 'labels.npy')).data;
  const scores = labels.map((path) => ariOf(own, readNpy(path).data));
  return { k: run.k, ari: Math.max(...scores), seconds: run.wall };
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** shapes.py says what a source is. */
async function besidePeers(source: string): Promise<RowResult> {
  const sets = await python<ShapeSet[]>('shapes.py', [source, scratch], 2);
  if (!sets.length) throw new Error(`${source} has no sets`);
  const runs: Run[] = [];
  for (const set of sets) {
    const run = await ownRun(set);
    const all = [run, ...Object.values(set.methods)];
    note(`${set.name}: ${all.map(({ k, ari }) => `${formatScore(ari)} (K ${k})`).join(', ')}`);
    runs.push(run);
  }
  const of = (method: string) =>
    method === 'dpmesh' ? runs : sets.map(({ methods }) => methods[method as keyof typeof PEERS]);
  const methods = ['dpmesh', ...Object.keys(PEERS)];
  const meanOf = (method: string, kind?: string) =>
    mean(of(method).flatMap(({ ari }, i) => (kind && sets[i].kind !== kind ? [] : [ari])));
  const texts = Object.entries({ dpmesh: 'dpmesh', ...PEERS }).map(([method, text]) => {
    const seconds = of(method).reduce((sum, run) => sum + run.seconds, 0);
    return `${text} ${formatScore(meanOf(method))}, ${seconds.toFixed(0)} s`;
  });
  const kinds = [...new Set(sets.flatMap(({ kind }) => kind ?? []))].map(
    (kind) => `${kind} ${methods.map((method) => formatScore(meanOf(method, kind))).join('/')}`,
  );
  return {
    measured: `${[`${sets.length} sets`, ...texts].join('; ')}${kinds.length ? `; by kind, in this order: ${kinds.join(', ')}` : ''}`,
    met: meanOf('dpmesh') >= Math.max(meanOf('hdbscan'), meanOf('hdbscan-1')),
  };
}

const TARGET = 'as much as HDBSCAN';

const given: BenchmarkRow = {
  name: 'shapes',
  what: 'sets in the folder or .npz that `SHAPES` names: mean ARI, seconds of all',
  target: TARGET,
  onRequest: true,
  async measure() {
    const { SHAPES } = process.env;
    if (!SHAPES) throw new NotAvailable('SHAPES names no folder of sets (test/bench/python/shapes.py)');
    return besidePeers(resolve(SHAPES));
  },
};

/** Odd seeds are for the end of work on a rule: who looks at them while it changes fits it to them. */
const made = (half: 'even' | 'odd'): BenchmarkRow => ({
  name: `made-shapes-${half}`,
  what: `made sets of 2 to 10 columns (\`test/bench/python/made_shapes.py\`), ${half} seeds: mean ARI, seconds of all`,
  target: TARGET,
  onRequest: true,
  measure: () => besidePeers(half),
});

export const shapeRows: BenchmarkRow[] = [given, made('even'), made('odd')];
