import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterDetails, cardsLegend, clusterCards } from '../../../page/drawing/cluster-details.ts';

const details = (cluster: number, more: Partial<ClusterDetails> = {}): ClusterDetails => ({
  ...{ cluster, size: 100, share: 0.01, name: `name ${cluster}`, namedBy: 'columns' },
  exemplars: Array.from({ length: 10 }, (_, i) => ({ row: 1000 * cluster + i })),
  ...{ border: [{ row: 77, other: 1 }], apart: [], evidence: null },
  ...more,
});
const view = (nearest: { cluster: number; separation: number }[]) => ({
  clusters: [{ nearest }] as unknown as NonNullable<Parameters<typeof clusterCards>[1]>['clusters'],
});

test('a card says by which columns a cluster has its name, and names its neighbours', () => {
  const telling: ClusterDetails['telling'] = [
    { text: 'high income', measure: 'median', own: 57_700, others: 34_100 },
    { text: 'region = <b>', measure: 'share', own: 0.846, others: 0.172 },
  ];
  const apart = [{ column: 3, name: 'age', difference: 2, mean: 1, rest: 0 }];
  const near = [
    { cluster: 1, separation: 0.45 },
    { cluster: 2, separation: 2.04 },
  ];
  const html = clusterCards([details(0, { telling, apart }), details(1), details(2)], view(near));
  assert.match(html, /high income: median 57,700, elsewhere 34,100/);
  assert.match(html, /region = &lt;b&gt;: 84.6\u00a0% of its rows, 17.2\u00a0% elsewhere/);
  assert.match(html, /1 name 1 \(0.5: they hardly differ\); 2 name 2 \(2.0\)/);
  assert.doesNotMatch(html, /age/);
  assert.match(clusterCards([details(0, { telling: [], apart })], null), /age 1, elsewhere 0 \(\+2.00 sd\)/);
});

test('of texts and images, neither numbers of rows nor columns without a name are shown', () => {
  const apart = [{ column: 3, difference: 2, mean: 1, rest: 0 }];
  assert.match(clusterCards([details(0, { apart })], null), /column 3.*row 4<.*row 77 \(to 1\)/);
  const ofTexts = clusterCards([details(0, { apart, texts: ['one <i>'] })], null);
  assert.match(ofTexts, /“one &lt;i&gt;”/);
  assert.doesNotMatch(ofTexts, /row \d|column 3/);
  const ofImages = clusterCards([details(0, { apart })], null, (row) => (row === 3 ? '<svg/>' : null));
  assert.match(ofImages, /<svg\/><span>row 3</);
  assert.doesNotMatch(ofImages, /row 4|column 3/);
});

test('the cards of many clusters are folded beyond the largest', () => {
  const html = clusterCards(
    Array.from({ length: 47 }, (_, c) => details(c)),
    null,
  );
  const [open, folded] = html.split('<details><summary>17 smaller clusters</summary>');
  assert.deepEqual(
    [open, folded].map((part) => part.match(/<article/g)?.length),
    [30, 17],
  );
});

test('the legend explains what cards show, and nothing else', () => {
  const legendOf = (more: Partial<ClusterDetails>) =>
    cardsLegend({ clusters: [details(0, more)], measure: null });
  const apart = [{ column: 3, name: 'age', difference: 2, mean: 1, rest: 0 }];
  const texts = ['a text'];
  assert.match(legendOf({ apart, texts }), /^Columns that set apart: the mean(?!.*Typical rows)/);
  assert.match(legendOf({ apart: [{ ...apart[0], name: undefined }], texts }), /^All of it/);
  const telling = [{ text: 'high age', measure: 'median' as const, own: 1, others: 0 }];
  assert.match(legendOf({ apart, telling }), /^Typical rows/);
  assert.match(legendOf({ texts, exemplars: [{ row: 1, id: 'a.png' }] }), /^Typical rows/);
});
