// tsx bench/scaling.ts: how training of an encoder scales with workers and with the network (docs/clusters.md has some of its numbers).
import { pathToFileURL } from 'node:url';
import { elementCount } from '../model/arrays.ts';
import { autoencoderWidths } from '../model/nets/autoencoder.ts';
import { netShapes } from '../model/nets/net.ts';

/** What a round costs: local steps on each card, then an exchange of weights between the coordinator and all cards. */
export interface Costs {
  cards: number;
  /** Bandwidth of the coordinator's link in each direction, which all cards share, Gbit/s. */
  gbit: number;
  /** Sent to a card and received from it in a round. */
  bytesPerRound: number;
  /** Seconds that a round takes beside steps and bytes, whatever the number of cards. */
  latency: number;
  /** Seconds of the coordinator for each byte that it sends or receives. */
  coordinatorSecondsPerByte: number;
  /** Seconds a card takes for a step. */
  stepSeconds: number;
}

/** Seconds of a round in which cards wait: nothing is sent while they compute, and bytes go one way at a time. */
export const exchangeSeconds = ({ cards, gbit, bytesPerRound, latency, coordinatorSecondsPerByte }: Costs) =>
  latency + cards * bytesPerRound * (8e-9 / gbit + coordinatorSecondsPerByte);

/** With so many steps a round the share of their time in which cards compute; times `cards`, how many times as fast they are as one. */
export const efficiency = (costs: Costs, steps: number): number =>
  (steps * costs.stepSeconds) / (steps * costs.stepSeconds + exchangeSeconds(costs));

/** The steps in a round with which cards compute for this share of their time. */
export const stepsFor = (share: number, costs: Costs): number =>
  ((share / (1 - share)) * exchangeSeconds(costs)) / costs.stepSeconds;

/** Bytes to and from a worker in a round: weights and both moments each way, in float32 (docs/algorithm.md, section 12). */
export function encoderBytes(widths: readonly number[]): number {
  const params = netShapes([...widths], 0).reduce((sum, shape) => sum + elementCount(shape), 0);
  return 2 * 3 * Float32Array.BYTES_PER_ELEMENT * params;
}

/** Defaults of `dpmesh train`, and the encoder of 784 columns. */
const [SHARDS, STEPS] = [4, 512];
const BYTES = encoderBytes(autoencoderWidths(784, [500, 500, 2000], 10));
/** Measured on a busy machine of two cores: seconds a round beside bytes, and the coordinator's, of CPU, with keys (1.8 ns without). */
const [LATENCY, COORDINATOR_SECONDS_PER_BYTE] = [0.3, 2.5e-9];
/** The share of the time for which tables say how many steps it takes. */
const SHARE = 0.8;

const CARDS = [1, 2, 4, 8, 16, 32, 64];
const SPEEDS = [1, 10, 100];

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
/** Two digits: more would be false precision. */
const rounded = (value: number) => Number(value.toPrecision(2)).toLocaleString('en');

/**
 * In Markdown, for cards that take so long for a step, by their number and the speed of the link: how many times as fast they are by
 * default, with their efficiency, and the --encoder-steps for one of 80 %.
 */
export function scalingTable(stepSeconds: number): string {
  const line = (cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
  const rows = CARDS.map((cards) => {
    // Of the encoder, each two of the run's. At most one worker for each is of use; it takes the steps of all its shards.
    const shards = Math.max(SHARDS, cards) / cards;
    const costs = SPEEDS.map((gbit) => ({
      ...{ cards, gbit, stepSeconds, bytesPerRound: BYTES, latency: LATENCY },
      coordinatorSecondsPerByte: COORDINATOR_SECONDS_PER_BYTE,
    }));
    const shares = costs.map((each) => efficiency(each, STEPS * shards));
    return line([
      cards,
      ...shares.map((share) => `${(cards * share).toFixed(1)} × (${percent(share)})`),
      ...costs.map((each) => rounded(stepsFor(SHARE, each) / shards)),
    ]);
  });
  const speeds = SPEEDS.map((gbit) => `${gbit} Gbit/s`);
  const head = ['workers', ...speeds, ...speeds.map((speed) => `steps for ${percent(SHARE)}, ${speed}`)];
  return [line(head), line(head.map(() => '---')), ...rows].join('\n');
}

/** Seconds a step of 64 rows: of a card, which is an assumption (docs/clusters.md), and of a core on WASM, measured. */
export const STEP_SECONDS = { card: 0.002, core: 0.04 };

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  for (const [device, seconds] of Object.entries(STEP_SECONDS))
    console.log(`A step of a ${device} takes ${1000 * seconds} ms:\n\n${scalingTable(seconds)}\n`);
