import type { ColumnMap } from '../../data/transform.ts';
import type { Layout } from '../../model/layout.ts';
import type { Autoencoder } from '../../model/nets/autoencoder.ts';
import type { EncoderCheckpoint } from '../storage/encoder-checkpoint.ts';

/** A trained encoder. */
export interface Encoder extends Autoencoder {
  /** What is done to raw rows before. */
  readonly input: ColumnMap;
  /** Of the raw rows. */
  readonly layout: Layout;
  readonly hashes: Uint8Array;
}

export const encoderOf = ({ state, input, layout, hashes }: EncoderCheckpoint): Encoder => ({
  ...{ widths: state.widths, params: state.params },
  ...{ input, layout, hashes },
});
