import { randomNumbers } from '../coordinator/support.ts';
import type { Options } from './simulation.ts';

/** A schedule of trouble of its own for each seed: up to 50 workers, from a quiet network to a dreadful one. */
export function schedule(seed: number): Options {
  const { uniform, below } = randomNumbers(seed ^ 0x5eed);
  const some = (most: number) => (uniform() < 0.5 ? 0 : uniform() * most);
  return {
    workers: 1 + (uniform() < 0.1 ? below(50) : below(6)),
    shards: 1 + below(12),
    loss: some(0.2),
    delay: some(0.2),
    duplication: some(0.3),
    cut: some(0.02),
    crash: some(0.01),
    freeze: some(0.01),
    restart: some(0.05),
  };
}
