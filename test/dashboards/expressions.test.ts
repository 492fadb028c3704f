import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectors, substitute } from './expressions.ts';

test('selectors of an expression', () => {
  const cases: [string, string[]][] = [
    ['max(a{run="x"})', ['a{run="x"}']],
    [
      'sum by (kind, le) (rate(a_total{k=~"}|\\""}[5m])) / on (b) group_left (c) d',
      ['a_total{k=~"}|\\""}', 'd'],
    ],
    ['a offset 5s - b:c:d > bool 1e3 or on () vector(0)', ['a', 'b:c:d']],
    ['abs(a) == Inf and a != NaN unless count_values("v", b)', ['a', 'b']],
    ['topk(10, {__name__=~"x.+"}) + time()', ['{__name__=~"x.+"}']],
    ['max_over_time(rate(a[1m])[5m:1s])', ['a']],
  ];
  for (const [expr, wanted] of cases) assert.deepEqual(selectors(expr), wanted, expr);
});

test('variables are substituted, and a missing value is an error', () => {
  assert.equal(substitute('a{run="$run"}[$__x]', { run: 'r', __x: '4s' }), 'a{run="r"}[4s]');
  assert.throws(() => substitute('a{run="$' + '{ran}"}', { run: 'r' }), /no value for .*ran/);
});
