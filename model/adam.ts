import type { Net } from './net.ts';

/**
 * The net after one Adam step (β₁ = 0.9, β₂ = 0.999, ε = 1e-8) on the given gradients, one array per array of
 * `net.params`. Kingma & Ba, ICLR 2015, algorithm 1.
 */
export function adamStep(net: Net, gradients: Float64Array[], rate: number): Net {
  const steps = net.steps + 1;
  const first = net.first.map((m, i) => m.map((value, j) => 0.9 * value + 0.1 * gradients[i][j]));
  const second = net.second.map((v, i) => v.map((value, j) => 0.999 * value + 0.001 * gradients[i][j] ** 2));
  const [a, b] = [1 - 0.9 ** steps, 1 - 0.999 ** steps];
  const params = net.params.map((p, i) =>
    p.map((value, j) => value - (rate * (first[i][j] / a)) / (Math.sqrt(second[i][j] / b) + 1e-8)),
  );
  return { ...net, params, first, second, steps };
}
