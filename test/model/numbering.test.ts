import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusteringNet, layersOf, logits, subNets } from '../../model/nets/net.ts';
import { bySize, isOrder, placesOf, renumberLabels, reorderColumns } from '../../model/order.ts';
import { contingencyCounter } from '../../model/scores.ts';
import { renumbered, type State, withoutClusters } from '../../model/state.ts';

const [D, K] = [3, 5];

/** A state all of whose arrays tell the clusters apart. */
function stateOf(k: number): State {
  const own = (c: number, length: number) => new Float64Array(length).fill(c + 1);
  const clusters = [...Array(k).keys()];
  const moments = (values: Float32Array[]) => values.map((array) => array.map((_, i) => i + 1));
  const net = clusteringNet(1n, D, [7], k);
  const subs = subNets(1n, D, k);
  return {
    mixture: {
      k,
      d: D,
      covariance: 'diag',
      weights: Float64Array.from(clusters, (c) => (c + 1) / 100),
      means: clusters.map((c) => own(c, D)),
      covariances: clusters.map((c) => own(c, D)),
    },
    parts: clusters.map((c) => [own(c, 7), own(c, 7)]),
    net: { ...net, first: moments(net.params), second: moments(net.params), steps: 3 },
    subs: { ...subs, first: moments(subs.params), second: moments(subs.params), steps: 3 },
    merged: [own(0, 7)],
    epoch: 9,
  } as unknown as State;
}

describe('bySize', () => {
  test('the largest is first, those without rows last, and equal ones keep their order', () => {
    assert.deepEqual(bySize([3, 0, 7, 3, 0, 9]), [5, 2, 0, 3, 1, 4]);
    assert.deepEqual(bySize(Float64Array.of()), []);
  });
});

test('isOrder: each number once', () => {
  for (const numbers of [[1], [0, 0], [0, 2], [-1, 0]]) assert.equal(isOrder(numbers), false, `${numbers}`);
  assert.equal(isOrder([2, 0, 1]), true);
});

test('a renumbered state has every cluster’s units, Adam moments, sub-net, parts and mixture at its new number', () => {
  const state = stateOf(K);
  const order = [3, 1, 4, 0, 2];
  const after = renumbered(state, order);
  const x = Float32Array.of(0.3, -1, 2);
  const before = logits(layersOf(state.net), x);
  // Bit for bit.
  assert.deepEqual(
    logits(layersOf(after.net), x),
    Float32Array.from(order, (old) => before[old]),
  );
  for (const [c, old] of order.entries()) {
    assert.equal(after.mixture.weights[c], state.mixture.weights[old]);
    assert.equal(after.mixture.means[c], state.mixture.means[old]);
    assert.equal(after.mixture.covariances[c], state.mixture.covariances[old]);
    assert.equal(after.parts[c], state.parts[old]);
    assert.deepEqual(logits(layersOf(after.subs, c), x), logits(layersOf(state.subs, old), x));
    for (const name of ['params', 'first', 'second'] as const) {
      const column = (own: State, unit: number) =>
        own.net[name].slice(-2).flatMap((values) => [...values].filter((_, i) => i % K === unit));
      assert.deepEqual(column(after, c), column(state, old), name);
      const slice = (own: State, unit: number) =>
        own.subs[name].flatMap((values) => [
          ...values.subarray((unit * values.length) / K, ((unit + 1) * values.length) / K),
        ]);
      assert.deepEqual(slice(after, c), slice(state, old), name);
    }
  }
  assert.deepEqual([after.net.steps, after.subs.steps, after.epoch, after.mixture.k], [3, 3, state.epoch, K]);
  assert.equal(after.merged, state.merged);
  assert.deepEqual(renumbered(after, [...placesOf(order)]), state);
  assert.equal(renumbered(state, [0, 1, 2, 3, 4]), state);
});

test('without some of its clusters a state gives no row to them, and the others as before', () => {
  const state = stateOf(K);
  const x = Float32Array.of(0.3, -1, 2);
  const before = logits(layersOf(state.net), x);
  const without = withoutClusters(state, [1, 4]);
  const after = logits(layersOf(without.net), x);
  for (const unit of before.keys())
    if (unit === 1 || unit === 4) assert.ok(after[unit] < -1e29);
    else assert.equal(after[unit], before[unit]);
  assert.deepEqual(logits(layersOf(state.net), x), before);
  const weights = [...state.mixture.weights];
  assert.deepEqual([...without.mixture.weights], weights.with(1, 0).with(4, 0));
});

test('labels get their new numbers, negative ones stay; columns move with them', () => {
  const order = [2, 0, 1];
  const labels = Int32Array.of(0, 1, 2, -1, 2);
  renumberLabels(labels, placesOf(order));
  assert.deepEqual([...labels], [1, 2, 0, -1, 0]);
  const soft = Float32Array.of(0.1, 0.2, 0.7, Number.NaN, 2, 3);
  reorderColumns(soft, order);
  assert.deepEqual(soft, Float32Array.of(0.7, 0.1, 0.2, 3, Number.NaN, 2));
});

test('a contingency table in another order is that of renumbered labels', () => {
  const [pred, truth] = [Int32Array.of(3, 0, 3, 1, 3, 1), Int32Array.of(0, 1, 2, 2, 0, 1)];
  // Two clusters without rows, one of them above the largest label.
  const order = bySize([1, 2, 0, 3, 0]);
  const counter = contingencyCounter();
  counter.add(pred, truth);
  const renumberedCounter = contingencyCounter();
  renumberLabels(pred, placesOf(order));
  renumberedCounter.add(pred, truth);
  assert.deepEqual(counter.table(order), renumberedCounter.table());
});
