import { randomNumbers } from '../coordinator/support.ts';
import type { SimulationOptions } from './simulation.ts';

/** Simulation options drawn from a seed: up to 50 workers, and from no faults to very many. */
export function schedule(seed: number): SimulationOptions {
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
    sick: some(0.3),
  };
}
