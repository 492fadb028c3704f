import type { Source } from '../../data/source.ts';
import { ariOfLabels } from '../../model/scores.ts';
import type { State } from '../../model/state.ts';
import type { Emit } from '../../view/events.ts';
import type { Alternation } from '../../view/summary.ts';
import type { RunConfig } from '../config.ts';
import type { EncoderCheckpoint } from '../storage/encoder-checkpoint.ts';
import type { Run } from '../training/run-context.ts';
import { codeClusters } from './code-clusters.ts';
import { nextAlternation } from './encoded-rows.ts';

/** Agreement from which on labels count as the same: another alternation would hardly change them. */
const SAME = 0.99;

/**
 * What follows a clustering of codes: the checkpoint of the alternation in which the encoder learns from its clusters (DeepDPM's
 * and DCN's alternating scheme), or null if there are enough (`isLast`: by the user's wish), or labels no longer change. `brought`: what all clusterings so far found.
 */
export async function afterClustering(
  { config, emit, codes, isLast }: { config: RunConfig; emit: Emit; codes: Source; isLast: boolean },
  checkpoint: EncoderCheckpoint,
  { transform }: Pick<Run, 'transform'>,
  { net }: Pick<State, 'net'>,
): Promise<{ brought: Alternation[]; next: EncoderCheckpoint | null }> {
  const { alternations: of } = config;
  const clusters = await codeClusters(codes, transform, net, config.seed);
  const before = checkpoint.clusters?.labels;
  const k = new Set(clusters.labels).size;
  const agreement = before ? ariOfLabels(before, clusters.labels) : null;
  const brought = [...checkpoint.brought, { k, agreement }];
  const alternation = checkpoint.alternation + 1;
  if (isLast || alternation > of || (agreement !== null && agreement >= SAME)) return { brought, next: null };
  emit({ type: 'alternation', alternation, of, k, agreement });
  return { brought, next: nextAlternation(checkpoint, clusters, brought) };
}
