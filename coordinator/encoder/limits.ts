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

/** UserError if the weights do not fit in messages or memory; a warning where there is little to learn. */
export function checkEncoder(
  { data }: RunConfig,
  widths: number[],
  warn: (message: string) => void,
  free = freemem(),
): void {
  const [dim] = widths;
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
