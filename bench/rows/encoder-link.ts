// Rounds of an encoder over a slow network: what docs/clusters.md computes, beside real runs through a proxy of that bandwidth.
import { encoderShards, roundsOfEpoch } from '../../coordinator/encoder/train-encoder.ts';
import { synth, tempPath } from '../dpmesh.ts';
import { openLink } from '../link.ts';
import { cpuSecondsOf } from '../machine.ts';
import { addressOf, spawnDpmesh, until } from '../processes.ts';
import { eventsOf, ofType } from '../run-files.ts';
import { type RoundCosts, roundSeconds } from '../scaling.ts';
import type { BenchmarkRow } from './row.ts';

const WORKERS = 2;
const EPOCHS = 4;
/** A small encoder, so that a run takes seconds: 170,000 weights, 4 MB a worker and round. */
const [ROWS, DIM, SHARDS, BATCH, STEPS] = [16_000, 64, 8, 16, 64];
const FLAGS = [
  ...['--encoder', 'autoencoder', '--encoder-hidden', '256,256', '--encoder-epochs', EPOCHS],
  ...['--encoder-batch', BATCH, '--encoder-steps', STEPS, '--shards', SHARDS],
] as const;
/** Faster than loopback. */
const UNLIMITED = 1000;
const SPEEDS = [1, 0.2, 0.05];
/** The largest difference between a measured epoch and the computed one, as a share of it. */
const TOLERANCE = 0.2;

interface Epoch {
  /** Means of the epochs but the first, whose rounds are short: seconds, those of computing on a worker, and bytes. */
  wall: number;
  compute: number;
  bytes: number;
  /** CPU of the coordinator for each byte that it sends or receives, from the first to the last epoch's end. */
  coordinatorSecondsPerByte: number;
}

/** Trains an encoder with workers that reach their coordinator through a link of this speed; without an end, as only epochs count. */
async function epochOver(gbit: number, data: string): Promise<Epoch> {
  const out = tempPath('run');
  const coordinator = spawnDpmesh([
    ...['coordinator', '--data', data, '--out', out, '--bind', 'tcp://127.0.0.1:*'],
    ...['--no-http', '--no-report', ...FLAGS],
  ]);
  const link = await openLink(Number(new URL(await addressOf(coordinator)).port), gbit);
  // They read the rows themselves: only weights go over the link.
  const connect = ['--connect', `tcp://127.0.0.1:${link.port}`, '--data-root', '/', '--backend', 'wasm'];
  const workers = Array.from({ length: WORKERS }, () => spawnDpmesh(['worker', ...connect]));
  try {
    const epochs = (count: number) =>
      until(
        `epoch ${count} of the encoder`,
        () => {
          const all = ofType(eventsOf(out), 'encoder-epoch');
          return all.length >= count && all;
        },
        coordinator,
      );
    await epochs(1);
    const before = cpuSecondsOf(coordinator.pid) ?? Number.NaN;
    const [, ...counted] = await epochs(EPOCHS);
    const spent = (cpuSecondsOf(coordinator.pid) ?? Number.NaN) - before;
    const sum = (of: (epoch: (typeof counted)[number]) => number) =>
      counted.reduce((total, epoch) => total + of(epoch), 0);
    return {
      wall: sum(({ wall }) => wall) / counted.length,
      compute: sum(({ seconds }) => seconds['encoder-steps']) / counted.length / WORKERS,
      bytes: sum(({ bytes }) => bytes) / counted.length,
      coordinatorSecondsPerByte: spent / sum(({ bytes }) => bytes),
    };
  } finally {
    await Promise.all([coordinator, ...workers].map((each) => each.killAll()));
    link.close();
  }
}

/** The costs of a round, from epochs over a link whose speed does not matter. */
function costsOf({ wall, compute, bytes }: Epoch, rounds: number): Omit<RoundCosts, 'gbit'> {
  const steps = Math.floor(ROWS / BATCH / WORKERS / rounds);
  return {
    ...{ cards: WORKERS, steps, stepSeconds: compute / rounds / steps },
    bytesPerRound: bytes / rounds / WORKERS,
    // With what the coordinator takes for these bytes: that does not depend on the link.
    ...{ latency: (wall - compute) / rounds, coordinatorSecondsPerByte: 0 },
  };
}

const seconds = (value: number) => `${value.toFixed(2)} s`;

export const encoderLink: BenchmarkRow = {
  name: 'encoder-link',
  what: `a small encoder (170,000 weights, rounds of ${STEPS} steps of ${BATCH} rows, ${WORKERS} workers) through a proxy of ${SPEEDS.join(', ')} Gbit/s: seconds an epoch, beside those computed by bench/scaling.ts`,
  target: `within ${100 * TOLERANCE} % (each)`,
  async measure() {
    const { data } = await synth(10, ROWS, DIM, 1);
    const config = { encoderBatch: BATCH, encoderSteps: STEPS };
    // Of a later epoch, when rounds have their full length.
    const rounds =
      roundsOfEpoch(config, { rows: ROWS, shards: encoderShards({ shards: SHARDS }) }, ROWS).length - 1;
    const free = await epochOver(UNLIMITED, data);
    const costs = costsOf(free, rounds);
    const parts: string[] = [];
    let met = true;
    for (const gbit of SPEEDS) {
      const { wall } = await epochOver(gbit, data);
      const computed = rounds * roundSeconds({ ...costs, gbit });
      met &&= Math.abs(wall - computed) <= TOLERANCE * computed;
      parts.push(`${gbit} Gbit/s ${seconds(wall)}, computed ${seconds(computed)}`);
    }
    const nanoseconds = (1e9 * free.coordinatorSecondsPerByte).toFixed(1);
    return {
      measured: `${parts.join('; ')}; without a limit ${seconds(free.wall)} (${seconds(free.compute)} of steps, ${rounds} rounds, ${(free.bytes / 1e6).toFixed(0)} MB); the coordinator took ${nanoseconds} ns of CPU a byte`,
      met,
    };
  },
};
