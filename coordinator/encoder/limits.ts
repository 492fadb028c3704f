import { freemem } from 'node:os';
import { gigabytes } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { netShapes, netSize } from '../../model/nets/net.ts';
import { MAX_MESSAGE } from '../../proto/codec.ts';
import type { RunConfig } from '../config.ts';
import { FEW_COLUMNS } from '../training/reading/undecided.ts';

/** Numbers in a code, if there are enough columns. */
const MOST_LATENT = 10;
/** Bytes that the coordinator needs for each weight, at most: it and its two moments in states, results, sums and messages. */
const BYTES = 192;

/** Numbers in a code. UserError unless they are fewer than the columns. */
export function latentOf({ data, latent }: RunConfig, dim: number): number {
  if (dim === 1)
    throw new UserError(`--encoder: ${data} has one column, and a code cannot be shorter; leave it out`);
  if (latent !== null && latent >= dim)
    throw new UserError(
      `--latent ${latent}: codes have to be shorter than the ${dim} columns of ${data}; use less`,
    );
  return latent ?? Math.min(MOST_LATENT, Math.floor(dim / 2));
}

/** UserError if an encoder cannot learn from pairs of so many rows, for each of which `width` numbers are sent. */
export function checkPairs({ data, sample }: RunConfig, rows: number, width: number): void {
  const most = Math.floor(MAX_MESSAGE / 4 / width);
  if (rows > most)
    throw new UserError(
      `--encoder neighbour: ${rows.toLocaleString('en')} rows of ${data} do not fit in a message; use a --sample of at most ${most.toLocaleString('en')} (${sample} was given)`,
    );
  if (rows < 3)
    throw new UserError(
      `--encoder neighbour learns from at least 3 rows, the sample of ${data} has ${rows}; use a larger --sample`,
    );
}

/** UserError if options do not go together, or the weights do not fit in messages or memory; a warning where there is little to learn. */
export function checkEncoder(
  { data, encoder, alternations, encoderBatch }: RunConfig,
  widths: number[],
  warn: (message: string) => void,
  free = freemem(),
): void {
  const [dim] = widths;
  if (encoder === 'neighbour' && alternations)
    throw new UserError(
      '--alternations: an encoder of neighbours does not learn from clusters; use --encoder autoencoder, or leave it out',
    );
  if (encoder === 'neighbour' && encoderBatch < 2)
    throw new UserError(
      '--encoder-batch 1: a neighbour is told from those of other rows of the batch; use at least 2, such as the default',
    );
  const size = netSize(netShapes(widths, 0));
  // Weights and their two moments, beside other things.
  if (12 * size > 0.9 * MAX_MESSAGE)
    throw new UserError(
      `--encoder-hidden: an encoder of ${size.toLocaleString('en')} weights is too large for messages; make its layers narrower`,
    );
  const needed = BYTES * size;
  if (needed > free)
    throw new UserError(
      `--encoder-hidden: ${size.toLocaleString('en')} weights need about ${gigabytes(needed)} of memory here, ${gigabytes(free)} are free; make its layers narrower`,
    );
  if (dim <= FEW_COLUMNS)
    warn(
      `--encoder: ${data} has only ${dim} columns, which can be clustered as they are; an encoder helps with hundreds`,
    );
}
