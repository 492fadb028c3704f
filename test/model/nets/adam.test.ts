import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adamStep, clusteringNet, type Net } from '../../../model/nets/net.ts';
import { close, normals } from '../support.ts';

/**
 * Kingma & Ba's second form, at the end of section 2: α_t = α·√(1−β₂ᵗ)/(1−β₁ᵗ) and ε̂ = ε·√(1−β₂ᵗ), with the moments
 * written out as sums over all past gradients.
 */
function secondForm(start: number, gradients: number[], rate: number): number {
  let value = start;
  gradients.forEach((_, last) => {
    const t = last + 1;
    const past = gradients.slice(0, t);
    const m = past.reduce((sum, g, i) => sum + 0.1 * 0.9 ** (last - i) * g, 0);
    const v = past.reduce((sum, g, i) => sum + 0.001 * 0.999 ** (last - i) * g * g, 0);
    const root = Math.sqrt(1 - 0.999 ** t);
    value -= ((rate * root) / (1 - 0.9 ** t)) * (m / (Math.sqrt(v) + 1e-8 * root));
  });
  return value;
}

const start = clusteringNet(1n, 3, [5], 2);

function gradientsOf(steps: number): Float64Array[][] {
  const next = normals(2);
  return Array.from({ length: steps }, () =>
    start.params.map((values, i) => Float64Array.from(values, () => 10 ** (i - 2) * next())),
  );
}

describe('Adam', () => {
  test("equals the paper's second form over many steps", () => {
    const gradients = gradientsOf(40);
    let net: Net = start;
    for (const own of gradients) net = adamStep(net, own, 0.01);
    assert.equal(net.steps, 40);
    start.params.forEach((values, i) => {
      const expected = [...values].map((value, j) =>
        secondForm(
          value,
          gradients.map((own) => own[i][j]),
          0.01,
        ),
      );
      // Forty steps, each rounded to float32.
      close(net.params[i], expected, 1e-6);
    });
  });
});
