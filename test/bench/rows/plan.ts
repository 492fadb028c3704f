// What the pieces of a run cost, for coordinator/fit/plan.ts, and how far `dpmesh plan` is from runs (docs/scale.md).
import { readdirSync, readFileSync } from 'node:fs';
import { COSTS, plan } from '../../../coordinator/fit/plan.ts';
import { sampleThreshold } from '../../../coordinator/fit/preparation/limits.ts';
import { layoutOf } from '../../../model/layout.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import { resolveConfig } from '../../../run/config.ts';
import { rowKernel } from '../../../worker/compute/kernels/row-kernel.ts';
import { type DataFiles, embedding, NotAvailable, note, scratch, synth, train } from '../dpmesh.ts';
import { type CliArgs, eventsOf, ofType, workerPids } from '../processes.ts';
import { python } from '../python.ts';
import type { BenchmarkRow } from '../report.ts';

const WORKERS = 2;
/** Clock ticks of /proc, a second. */
const TICKS = 100;

/** Seconds of CPU of a process so far, in all its threads; null if it has ended or there is no /proc. */
function cpuOf(pid: number): number | null {
  try {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
    return (Number(user) + Number(system)) / TICKS;
  } catch {
    return null;
  }
}

/** The most memory that a process has had so far, bytes. */
function peakOf(pid: number): number {
  try {
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Processes that it has started. */
function childrenOf(pid: number): number[] {
  try {
    const of = (thread: string) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ');
    return readdirSync(`/proc/${pid}/task`).flatMap(of).filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Seconds of CPU in a phase: of the worker that took most, and of the coordinator. */
interface Spent {
  worker: number;
  coordinator: number;
}

/** Runs `train`; returns what each phase took. CPU time depends less than time on what else runs. */
async function phasesOf(data: string, flags: CliArgs = []) {
  const samples = new Map<number, { at: number; spent: number }[]>();
  const peaks = new Map<number, number>();
  let coordinator = 0;
  const { out, epochs } = await train({ data }, ['--workers', WORKERS, '--no-report', ...flags], {
    minutes: 60,
    watch(pid) {
      coordinator = pid;
      for (const each of [pid, ...childrenOf(pid)]) {
        const spent = cpuOf(each);
        peaks.set(each, Math.max(peaks.get(each) ?? 0, peakOf(each)));
        if (spent !== null) samples.set(each, [...(samples.get(each) ?? []), { at: Date.now(), spent }]);
      }
    },
  });
  if (!samples.size) throw new NotAvailable('there is no /proc');
  const events = eventsOf(out);
  const workers = workerPids(out);
  const until = (pid: number, time: number) => samples.get(pid)?.findLast(({ at }) => at <= time)?.spent ?? 0;
  const time = (type: 'worker' | 'start' | 'end' | 'done') => Date.parse(ofType(events, type).at(-1)!.time);
  const done = time('done');
  const idle = Math.max(
    ...workers.map((pid) => samples.get(pid)!.find(({ spent }) => spent >= until(pid, done) - 2 / TICKS)!.at),
  );
  const between = (from: number, to: number): Spent => ({
    worker: Math.max(...workers.map((pid) => until(pid, to) - until(pid, from))),
    coordinator: until(coordinator, to) - until(coordinator, from),
  });
  const joined = between(0, time('worker'));
  const memory = {
    worker: Math.max(...workers.map((pid) => peaks.get(pid)!)),
    coordinator: peaks.get(coordinator)!,
  };
  return {
    ...{ epochs, memory },
    start: joined.worker + joined.coordinator,
    reading: between(time('worker'), time('start')),
    training: between(time('start'), time('end')),
    labels: between(time('end'), idle),
    files: between(idle, done),
  };
}
type Phases = Awaited<ReturnType<typeof phasesOf>>;

/**
 * The CPU time that nothing else hides, on machines where each process has a core: while rows are read and in training the coordinator and its workers wait for each other,
 * labels arrive as they are found, and files are the coordinator's. That of an encoder is part of reading.
 */
const critical = ({ start, reading, training, labels, files }: Phases) =>
  start +
  reading.worker +
  reading.coordinator +
  training.worker +
  training.coordinator +
  Math.max(labels.worker, labels.coordinator) +
  files.coordinator;

/** Runs of the same data with fewer and more rows. */
interface Pair {
  rows: readonly [few: number, many: number];
  few: Phases;
  many: Phases;
}

/** What a row of the larger run adds. */
const added = ({ rows, few, many }: Pair, phase: 'reading' | 'labels' | 'files', who: keyof Spent) =>
  (many[phase][who] - few[phase][who]) / (rows[1] - rows[0]);

/** Seconds of a product of two values of a row, the best of some calls. */
function productSeconds(): number {
  const [d, count] = [384, 8192];
  const rows = Float32Array.from({ length: count * d }, Math.random);
  const seconds = Array.from({ length: 5 }, () => {
    const statistics = rowKernel().scatter(new Float64Array(d), d, 'full');
    const begun = process.cpuUsage();
    statistics.add(rows, new Int32Array(count));
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / 1e6;
  });
  return Math.min(...seconds) / count / statisticsLength(d, 'full');
}

/** The costs, given runs of MNIST’s embedding, of 32 columns with 50 Gaussians, and of 384 columns with 100 clusters. */
function costsFrom(small: Phases, narrow: Pair, wide: Pair): Partial<typeof COSTS> {
  const { coreOperations } = COSTS;
  const row = (pair: Pair, phase: 'reading' | 'labels') => WORKERS * added(pair, phase, 'worker');
  const numbers = statisticsLength(32, 'full');
  const readValue = row(wide, 'reading') / 384;
  const readProduct = productSeconds();
  const wideRow = row(wide, 'labels') - (2 * (384 * 64 + 64 * 256 + 256 * 100)) / coreOperations;
  const narrowRow = row(narrow, 'labels') - (2 * 50 * numbers) / coreOperations - numbers * readProduct;
  const labelValue = (wideRow - narrowRow) / (384 - 32);
  const [{ training, epochs }, graph] = [narrow.few, wide.many.training];
  const epochOf = ({ training, epochs }: Phases) => training.coordinator / epochs;
  const smallNumbers = 10 * statisticsLength(10, 'full');
  const epochNumber = (epochOf(narrow.few) - epochOf(small)) / (50 * numbers - smallNumbers);
  const [sample, graphSample] = [32_000, 20_000];
  return {
    axesPair: wide.few.reading.coordinator / 384 ** 2,
    ...{ readValue, readProduct, labelValue, labelRow: narrowRow - 32 * labelValue },
    trainOperations: (coreOperations * WORKERS * training.worker) / (sample * epochs * 50 * numbers),
    epoch: epochOf(small) - smallNumbers * epochNumber,
    epochNumber,
    graphRow: (WORKERS * graph.worker) / graphSample - statisticsLength(384, 'full') * readProduct,
    graphRowJoined: graph.coordinator / graphSample,
    resultRow: added(narrow, 'labels', 'coordinator'),
    fileRow: added(narrow, 'files', 'coordinator'),
    finish: wide.few.files.coordinator,
  };
}

const embeddings = async (name: string) =>
  (await python<DataFiles>('embeddings.py', [name, scratch, 0], 1)).data;
const gaussians = async (rows: number) => (await synth(50, rows, 32, 1, 20)).data;

const costs: BenchmarkRow = {
  name: 'scale-costs',
  what: 'what the pieces of a run cost, in seconds of a core and in operations (docs/scale.md)',
  target: null,
  onRequest: true,
  async measure() {
    const pair = async (rows: Pair['rows'], data: (rows: number) => Promise<string>): Promise<Pair> => {
      const [few, many] = [await phasesOf(await data(rows[0])), await phasesOf(await data(rows[1]))];
      return { rows, few, many };
    };
    const found = costsFrom(
      await phasesOf(embedding('mnist').data),
      await pair([1e6, 2e7], gaussians),
      await pair([2e5, 1e6], (rows) => embeddings(rows === 1e6 ? 'million' : '200000')),
    );
    const text = Object.entries(found).map(([name, value]) => `${name} ${value.toExponential(1)}`);
    return { measured: text.join(', '), met: null };
  },
};

interface Checked {
  name: string;
  what: string;
  data(): Promise<string>;
  rows: number;
  dim: number;
  valueBytes: number;
  clusters: number;
  flags?: { encoder: 'autoencoder'; encoderEpochs: number };
}

/** How long a run takes by `plan` on cores of this machine, which reads the file from memory. */
export async function predicted({
  rows,
  dim,
  valueBytes,
  clusters,
  flags = undefined,
}: Omit<Checked, 'name' | 'what' | 'data'>) {
  const config = await resolveConfig({ data: 'rows.npy', ...flags });
  const layout = layoutOf(rows, dim, 8, 0n);
  const sample = Math.round(rows * sampleThreshold(config, layout));
  return plan({ config, layout, valueBytes, sample, clusters }, { workers: WORKERS, gpu: null, link: 1e10 });
}

const MOST_OFF = 0.3;

const checked = ({ name, what, data, ...job }: Checked): BenchmarkRow => ({
  name: `scale-plan-${name}`,
  what: `${what}: seconds by \`dpmesh plan\`, and of CPU`,
  target: `within ${100 * MOST_OFF} %`,
  onRequest: true,
  async measure() {
    const { seconds, memory } = await predicted(job);
    const flags = job.flags
      ? ['--encoder', job.flags.encoder, '--encoder-epochs', job.flags.encoderEpochs]
      : [];
    const phases = await phasesOf(await data(), flags);
    const measured = critical(phases);
    const off = seconds / measured - 1;
    const megabytes = ({ worker, coordinator }: typeof memory) =>
      [worker, coordinator].map((bytes) => Math.round(bytes / 1e6)).join(' and ');
    note(
      `memory of a worker and of the coordinator: ${megabytes(memory)} MB, ${megabytes(phases.memory)} MB`,
    );
    return {
      measured: `${seconds.toPrecision(3)} s, ${measured.toPrecision(3)} s (${off < 0 ? '−' : '+'}${Math.abs(100 * off).toFixed(0)} %)`,
      met: Math.abs(off) <= MOST_OFF,
    };
  },
});

const f32 = { dim: 32, valueBytes: 4, clusters: 50 };
const f16 = { rows: 1_000_000, valueBytes: 2, clusters: 100 };
const pixels = (name: string) => ({
  ...{ data: () => embeddings(name), dim: 784, valueBytes: 1, clusters: 100 },
  flags: { encoder: 'autoencoder', encoderEpochs: 1 } as const,
});
/** The runs of docs/scale.md. */
export const CHECKED: Checked[] = [
  {
    ...{ name: 'mnist', what: '70,000 × 10 (MNIST)', data: async () => embedding('mnist').data },
    ...{ rows: 70_000, dim: 10, valueBytes: 4, clusters: 10 },
  },
  { name: 'million', what: '1,000,000 × 32', data: () => gaussians(1e6), rows: 1e6, ...f32 },
  { name: '20-million', what: '20,000,000 × 32', data: () => gaussians(2e7), rows: 2e7, ...f32 },
  { name: '100-million', what: '100,000,000 × 32', data: () => gaussians(1e8), rows: 1e8, ...f32 },
  { name: '384', what: '1,000,000 × 384 (float16)', data: () => embeddings('million'), dim: 384, ...f16 },
  {
    name: '768',
    what: '200,000 × 768 (float16)',
    data: () => embeddings('200000-768'),
    ...{ ...f16, rows: 2e5, dim: 768 },
  },
  {
    name: 'encoder',
    what: '100,000 × 784 bytes, one pass of an encoder',
    rows: 1e5,
    ...pixels('100000-pixels'),
  },
  {
    name: 'encoder-million',
    what: '1,000,000 × 784 bytes, one pass of an encoder',
    ...{ rows: 1e6, ...pixels('million-pixels') },
  },
];

export const planRows: BenchmarkRow[] = [costs, ...CHECKED.map(checked)];
