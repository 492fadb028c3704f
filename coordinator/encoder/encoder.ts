import type { ColumnMap } from '../../data/transform.ts';
import type { Layout } from '../../model/layout.ts';
import type { Autoencoder } from '../../model/nets/autoencoder.ts';
import { folded } from '../../model/nets/projection.ts';
import type { EncoderCheckpoint } from '../storage/encoder-checkpoint.ts';

/** A trained encoder. */
export interface Encoder extends Autoencoder {
  /** What is done to raw rows before. */
  readonly input: ColumnMap;
  /** Of the raw rows. */
  readonly layout: Layout;
  readonly hashes: Uint8Array;
}

/** The encoder of whole rows, also where a net of their projections was trained. */
export const encoderOf = ({ state, projection, input, layout, hashes }: EncoderCheckpoint): Encoder => {
  const { widths, params } = projection ? folded(state, projection) : state;
  return { widths, params, input, layout, hashes };
};
