import { pcaAxes } from '../../data/transform-choice.ts';
import { elementCount } from '../../model/arrays.ts';
import type { Layout } from '../../model/layout.ts';
import { autoencoderWidths } from '../../model/nets/autoencoder.ts';
import { netShapes } from '../../model/nets/net.ts';
import { statisticsLength } from '../../model/statistics.ts';
import type { RunConfig } from '../../run/config.ts';
import { encoderShards } from './encoder/train-encoder.ts';
import { isSent, MOST_EXACT, mayBeGraph, momentsCovariance } from './reading/moments.ts';
import { rowsPerCluster } from './sample.ts';

/** What a run will need, from what its pieces cost (docs/scale.md): for `dpmesh plan` and --dry-run. */

/**
 * What pieces of a run cost: seconds of a core of the machine of docs/scale.md, which has where each is from. `npm run bench -- scale-costs`
 * prints them anew.
 */
export const COSTS = {
  /** Until all processes have started, joined and compiled their code. */
  start: 1.5,
  /** A worker, in the first pass: of a value; of a product of two values of a row. */
  readValue: 7.3e-9,
  readProduct: 2.5e-10,
  /** The coordinator, where the axes of many columns are looked for: of a pair of columns. */
  axesPair: 7e-6,
  /** A worker, in training with the graph: of a sampled row. */
  graphRow: 7.1e-4,
  /** The coordinator, in training: of an epoch, and in it of a number of the statistics of all clusters; with the graph of a sampled row. */
  epoch: 0.021,
  epochNumber: 3.1e-7,
  graphRowJoined: 1.5e-4,
  /** A worker, in the last pass, beside matrix products: of a row; of a value. */
  labelRow: 7.8e-7,
  labelValue: 2e-8,
  /** The coordinator: of a row's results as they arrive; of a row of the files afterwards; of the rest of the files. */
  resultRow: 3.3e-7,
  fileRow: 6.3e-7,
  /** The same of a row of labels in parts. */
  partRow: 3e-7,
  indexRow: 5e-8,
  finish: 1,
  /** A round of an encoder beside steps and bytes; the coordinator, of a byte that it sends or receives. */
  encoderRound: 0.3,
  byte: 2.5e-9,
  /** Operations a second that a core reaches in matrix products; of them in training, for a sampled row, an epoch, a cluster and a number of its statistics. */
  coreOperations: 2.7e10,
  trainOperations: 3,
};

/** What a worker has for matrix products, beside a core. */
interface Device {
  /** Float32 additions and multiplications a second, as far as they are reached. */
  operations: number;
  /** Of its memory, bytes a second. */
  bandwidth: number;
}

/** The share of a card's published operations that is assumed to be reached: its nets and batches are small. */
const REACHED = 0.3;
/** NVIDIA's data sheets: float32 without sparsity, and memory bandwidth. None of these cards has been measured. */
const published = (teraflops: number, gigabytes: number): Device => ({
  operations: REACHED * teraflops * 1e12,
  bandwidth: gigabytes * 1e9,
});
export const GPUS = {
  a100: published(19.5, 2039),
  h100: published(67, 3350),
  l4: published(30.3, 300),
  t4: published(8.1, 320),
};
type Gpu = keyof typeof GPUS;

/** The data and the options. */
export interface Job {
  config: RunConfig;
  layout: Layout;
  /** Of a value in the file. */
  valueBytes: number;
  /** Rows that are trained on at first. */
  sample: number;
  /** Clusters that are expected. */
  clusters: number;
}

export interface Machines {
  /** Workers that compute at the same time. */
  workers: number;
  /** Whose cards compute matrix products; null: the worker's core, as all else. */
  gpu: Gpu | null;
  /** Bytes a second, in each direction, that the coordinator and each worker can send and receive, and a worker reads from the file. */
  link: number;
}

const RESOURCES = {
  start: 'the start of processes',
  core: 'a core of each worker',
  gpu: 'the GPUs',
  link: 'the links of the workers',
  coordinator: 'a core of the coordinator',
  'coordinator-link': 'the link of the coordinator',
};
type Resource = keyof typeof RESOURCES;
export const resourceText = (resource: Resource) => RESOURCES[resource];

/** Seconds by what they are spent on. */
type Spent = Partial<Record<Resource, number>>;

export interface Phase {
  name: string;
  seconds: number;
  limit: Resource;
}

export interface Plan {
  phases: Phase[];
  /** From the command to its end. */
  seconds: number;
  /** What most of the time is spent on. */
  limit: Resource;
  graph: boolean;
  /** Peak resident memory of each worker and of the coordinator, bytes. */
  memory: { worker: number; coordinator: number };
  /** What all workers read from files; what the coordinator sends to, and receives from, them; what it writes. */
  bytes: { read: number; sent: number; received: number; written: number };
}

const MEGA = 1e6;
/** Processes that have only begun, and buffers of a file that does not fit into them. */
const [WORKER_BYTES, COORDINATOR_BYTES, BUFFER_BYTES] = [125 * MEGA, 225 * MEGA, 85 * MEGA];
/** What the graph takes at the coordinator, beside the covariances of shards. */
const GRAPH_BYTES = 60 * MEGA;
/** Of each row at the coordinator: what is known of its block, and of distances. */
const ROW_BYTES = 1;
/** Float32 numbers of a sampled row at a worker: the row, its y, and what the nets make of it. */
const COPIES = 3;
/** Copies of an encoder's weights and moments, of which both sides hold several while they are exchanged. */
const STATES = 12;
/** Label, confidence and distance of a row, as a worker sends and as files have them; a line of labels.csv. */
const [SENT_ROW, ARRAY_ROW, CSV_ROW] = [9, 12, 29];
const FLOAT = Float32Array.BYTES_PER_ELEMENT;
const DOUBLE = Float64Array.BYTES_PER_ELEMENT;
/** Axes of the features of a graph, its net, and rows of the sample that it needs for a cluster. */
const [AXES, GRAPH_HIDDEN, GRAPH_ROWS] = [64, 256, 50];
/** The encoder: operations for each weight and row, there and back; without its gradient. */
const [BACK, FORTH] = [6, 2];
/** Epochs between two splits, and how many pairs of steps it takes beyond those in which K doubles (docs/algorithm.md, section 8). */
const [PAIR, MORE_PAIRS] = [12, 3.5];

const sum = (spent: Spent) => Object.values(spent).reduce((a, b) => a + b, 0);
const largest = (spent: Spent) =>
  (Object.keys(spent) as Resource[]).reduce((a, b) => (spent[b]! > spent[a]! ? b : a));

/** A phase whose parts go on at the same time, and in each of them one after the other. */
function phase(name: string, ...parts: Spent[]): Phase {
  const longest = parts.reduce((a, b) => (sum(b) > sum(a) ? b : a));
  return { name, seconds: sum(longest), limit: largest(longest) };
}

/** Parameters of a net with these widths. */
const parameters = (widths: readonly number[]) =>
  netShapes([...widths], 0).reduce((all, shape) => all + elementCount(shape), 0);

/** Seconds, memory and bytes of a run on such machines. */
export function plan(job: Job, machines: Machines, costs = COSTS): Plan {
  const { config, layout, clusters } = job;
  const { rows } = layout;
  const { link } = machines;
  const isEncoded = config.encoder !== 'none';
  const inner = isEncoded ? (config.latent ?? 10) : layout.dim;
  const graph = mayBeGraph(config, inner);
  const inParts = config.labelsOut === 'shards';
  /** Those that train; all read. */
  const workers = Math.min(machines.workers, layout.shards);
  const own = rows / machines.workers;
  const columns = inner;
  const valueBytes = isEncoded ? FLOAT : job.valueBytes;
  const d = graph ? Math.min(columns, AXES) : (pcaAxes(config.transform) ?? columns);
  const numbers = statisticsLength(d, graph ? 'diag' : config.covariance);
  const moments = statisticsLength(Math.min(columns, MOST_EXACT), momentsCovariance(config, columns));
  const hidden = config.hidden?.[0] ?? (graph ? GRAPH_HIDDEN : 50);

  let sample = Math.max(1, job.sample);
  const needed = Math.min(rows, clusters * (graph ? GRAPH_ROWS : rowsPerCluster(d)));
  while (sample < needed) sample *= 2;
  sample = Math.min(sample, rows);

  /** Products of `operations` for each of so many rows, of which the device reads and writes so many values. */
  const products = (count: number, operations: number, values: number): Spent => {
    const device = machines.gpu && GPUS[machines.gpu];
    if (!device) return { core: (count * operations) / costs.coreOperations };
    return { gpu: count * Math.max(operations / device.operations, (FLOAT * values) / device.bandwidth) };
  };
  const andCore = (spent: Spent, core: number): Spent => ({ ...spent, core: core + (spent.core ?? 0) });

  const phases = [phase('start', { start: costs.start })];
  const bytes = { read: 0, sent: 0, received: 0, written: 0 };
  let states = 0;

  if (isEncoded) {
    const widths = autoencoderWidths(layout.dim, config.encoderHidden, inner);
    const weights = parameters(widths);
    const shards = encoderShards(config, layout);
    const at = Math.min(machines.workers, shards);
    const state = 3 * FLOAT * weights;
    const rounds =
      config.encoderEpochs * Math.max(1, rows / shards / config.encoderBatch / config.encoderSteps);
    const read = rows * layout.dim * job.valueBytes;
    const values = widths.reduce((all, width) => all + 2 * width, (BACK * weights) / config.encoderBatch);
    phases.push(
      phase(
        'encoder',
        {
          ...products((config.encoderEpochs * rows) / at, BACK * weights, values),
          start: rounds * costs.encoderRound,
          coordinator: rounds * at * 2 * state * costs.byte,
          'coordinator-link': (rounds * at * 2 * state) / link,
        },
        { link: (config.encoderEpochs * read) / at / link },
      ),
      phase(
        'encoding',
        andCore(products(own, (FORTH * weights) / 2, inner + layout.dim), own * layout.dim * costs.readValue),
        { link: read / machines.workers / link },
        { coordinator: rows * costs.resultRow, 'coordinator-link': (rows * inner * FLOAT) / link },
      ),
    );
    bytes.read += (config.encoderEpochs + 1) * read;
    bytes.sent += rounds * at * state;
    bytes.received += rounds * at * state + rows * inner * FLOAT;
    bytes.written += rows * inner * FLOAT;
    states = STATES * state;
  }

  const pass = rows * columns * valueBytes;
  phases.push(
    phase(
      'reading',
      {
        core: own * (columns * costs.readValue + moments * costs.readProduct),
        coordinator: graph ? Math.min(columns, MOST_EXACT) ** 2 * costs.axesPair : 0,
      },
      { link: pass / machines.workers / link },
    ),
  );
  const held = isSent({ rows, dim: columns }, job.sample / rows) ? FLOAT * job.sample * columns : 0;
  bytes.sent += held;
  bytes.received += held;

  const epochs = PAIR * (Math.ceil(Math.log2(clusters)) + MORE_PAIRS);
  const net = 3 * FLOAT * parameters([d, hidden, clusters]);
  const [out, back] = [net, net + DOUBLE * clusters * numbers].map((each) => each * workers * epochs);
  const trained = graph
    ? { core: (sample / workers) * (costs.graphRow + statisticsLength(columns, 'full') * costs.readProduct) }
    : products((sample / workers) * epochs * clusters, costs.trainOperations * numbers, numbers);
  phases.push(
    phase('training', {
      ...trained,
      coordinator:
        (out + back) * costs.byte +
        (graph
          ? sample * costs.graphRowJoined
          : epochs * (costs.epoch + clusters * numbers * costs.epochNumber)),
      'coordinator-link': (out + back) / link,
    }),
  );

  // Parts go to the shared folder, from which the coordinator reads them back.
  const written = inParts ? rows * ARRAY_ROW : 0;
  const results = rows * (inParts ? ARRAY_ROW : SENT_ROW);
  const operations = graph ? 2 * (columns * d + d * hidden + hidden * clusters) : 2 * clusters * numbers;
  phases.push(
    phase(
      'labels',
      andCore(
        products(own, operations, 2 * (columns + d + hidden + clusters)),
        own * (costs.labelRow + columns * costs.labelValue + (graph ? 0 : numbers * costs.readProduct)),
      ),
      { link: (pass + written) / machines.workers / link },
      { coordinator: rows * (inParts ? costs.partRow : costs.resultRow), 'coordinator-link': results / link },
    ),
    phase('files', { coordinator: costs.finish + rows * (inParts ? costs.indexRow : costs.fileRow) }),
  );
  bytes.read += 2 * pass;
  bytes.sent += out;
  bytes.received += back + results;
  bytes.written += rows * (inParts ? ARRAY_ROW : ARRAY_ROW + CSV_ROW);

  const statistics = DOUBLE * Math.max(moments, clusters * numbers);
  const memory = {
    worker:
      WORKER_BYTES +
      Math.min(BUFFER_BYTES, pass / workers) +
      (COPIES * FLOAT * sample * columns) / workers +
      Math.ceil(layout.shards / workers) * statistics +
      states / 2,
    coordinator:
      COORDINATOR_BYTES +
      ROW_BYTES * rows +
      held +
      layout.shards * (graph ? DOUBLE * Math.min(columns, MOST_EXACT) ** 2 : statistics) +
      (graph ? GRAPH_BYTES : 0) +
      states,
  };
  const spent: Spent = {};
  for (const { seconds, limit } of phases) spent[limit] = (spent[limit] ?? 0) + seconds;
  return {
    ...{ phases, seconds: phases.reduce((all, each) => all + each.seconds, 0), limit: largest(spent), graph },
    ...{ memory, bytes },
  };
}
