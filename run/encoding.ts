import type { ColumnMap } from '../data/steps/linear.ts';
import type { Autoencoder } from '../model/nets/autoencoder.ts';
import type { Tensors } from '../proto/tensors.ts';
import type { Alternation } from './summary.ts';

/** An encoder while it is trained, as checkpoints have it. */

/** The state of an encoder's training between two epochs. */
export interface EncoderState extends Autoencoder {
  /** Adam's moments of the params. */
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Steps of Adam that each shard has taken. */
  readonly steps: number;
  /** Complete epochs. */
  readonly epoch: number;
  /** Mean over the last epoch's steps of ‖output − input‖², as a share of the variance of the inputs; null before the first. */
  readonly loss: number | null;
}

/** What is done to raw rows before they are clustered. */
export interface Encoder extends Autoencoder {
  /** Before the net. */
  readonly input: ColumnMap;
}

/** An encoder, how far its training is, and what has been made with it. Every number is kept bit for bit in a checkpoint. */
export interface Encoding {
  /** Hashes of the blocks of the raw rows, in the order of the file. */
  readonly hashes: Uint8Array;
  /** What is done to raw rows before the encoder. */
  readonly input: ColumnMap;
  /** Sum of the variances of the encoder's inputs. */
  readonly variance: number;
  readonly state: EncoderState;
  /** 0: before the first clustering. */
  readonly alternation: number;
  /** SHA-256 of `codes.npy`, if it has the latent vectors of this encoder, whose training is complete; else null. */
  readonly codes: string | null;
  /** The clusters that it learns from; null before the first clustering. */
  readonly clusters: LatentClusters | null;
  /** What the clusterings before found. */
  readonly brought: Alternation[];
}

export const encoderOf = ({ state: { widths, params }, input }: Encoding): Encoder => ({
  ...{ widths, params, input },
});

/** Clusters of latent vectors, to whose centres an encoder draws those of their rows. */
export interface LatentClusters {
  /** From latent vectors to what labels them, and that, as workers get them: the clustering net, or the mixture. */
  readonly transform: Tensors;
  readonly classifier: Tensors;
  /** The mean of each cluster, [K,L]; of one without rows, NaN. */
  readonly centres: Float32Array;
  /** The mean over the numbers of a latent vector of their variances. */
  readonly variance: number;
  /** The clusters of some of the rows, always the same. */
  readonly labels: Int32Array;
}
