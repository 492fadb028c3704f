import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  fastSchedule,
  hasSettled,
  hasStalled,
  nextChange,
  nextPace,
  type Pace,
  paperSchedule,
  quietSteps,
  type Schedule,
  type Step,
  trainsSubNets,
  withStep,
} from '../../model/schedule.ts';

const fast = fastSchedule(6);
const paper = paperSchedule(30);
const epochs = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const changes = (schedule: Schedule, to: number) =>
  epochs(1, to).flatMap((epoch) => {
    const change = changeAfter(schedule, epoch);
    return change ? [`${change} ${epoch}`] : [];
  });

/** A history from a short notation: `+2` a split that adds two, `-1` a merge that removes one, `s` and `m` without change. */
function history(k: number, text: string): Step[] {
  return text.split(' ').map((word): Step => {
    const by = Number.parseInt(word, 10) || 0;
    k += by;
    return { kind: word === 's' || by > 0 ? 'split' : 'merge', changed: Math.abs(by), k };
  });
}

describe('changes', () => {
  test('fast: splits and merges alternate every six epochs', () => {
    assert.deepEqual(changes(fast, 30), ['split 6', 'merge 12', 'split 18', 'merge 24', 'split 30']);
    assert.deepEqual(changes(fastSchedule(1), 3), ['split 1', 'merge 2', 'split 3']);
  });

  test('paper: first split at 55, then every 30', () => {
    assert.deepEqual(changes(paper, 180), ['split 55', 'merge 85', 'split 115', 'merge 145', 'split 175']);
  });
});

describe('sub-nets train', () => {
  test('fast: in the epochs that lead to a split', () => {
    const trained = epochs(1, 30).filter((epoch) => trainsSubNets(fast, epoch));
    assert.deepEqual(trained, [...epochs(1, 6), ...epochs(13, 18), ...epochs(25, 30)]);
  });

  test('paper: in all epochs from 45 on', () => {
    const trained = epochs(1, 300).filter((epoch) => trainsSubNets(paper, epoch));
    assert.deepEqual(trained, epochs(45, 300));
  });

  test('in any epoch that ends with a split, in both schedules', () => {
    for (const every of [1, 2, 5, 30])
      for (const schedule of [fastSchedule(every), paperSchedule(every)])
        for (const epoch of epochs(1, 300))
          if (changeAfter(schedule, epoch) === 'split') assert.ok(trainsSubNets(schedule, epoch));
  });
});

test('other settings of the schedules', () => {
  assert.deepEqual([fast.mStepFrom, fast.refine, fast.depths], [1, 6, [2, 3]]);
  assert.deepEqual([paper.mStepFrom, paper.subFrom, paper.refine, paper.depths], [25, 45, 0, []]);
});

describe('quiet steps', () => {
  test('are the steps since the last change', () => {
    assert.equal(quietSteps([]), 0);
    assert.equal(quietSteps(history(1, 's')), 1);
    assert.equal(quietSteps(history(1, 's m s')), 3);
    assert.equal(quietSteps(history(1, '+1 m s')), 2);
    assert.equal(quietSteps(history(1, 's m +1')), 0);
  });
});

describe('a run has settled', () => {
  const settles: [string, string][] = [
    ['two splits and two merges changed nothing', '+3 m s m s'],
    ['the same, a merge last', '+3 -1 s m s m'],
    ['at K = 1', 's m s m'],
    ['three pairs ended on the same K, each merge undoing its split', '+1 -1 +1 -1 +2 -2'],
    ['the same, after other pairs', '+5 m +2 -1 +2 -2 +1 -1'],
    ['the same, some of them without a change', '+5 m +1 -1 s m'],
  ];
  for (const [why, text] of settles) test(`${why}: ${text}`, () => assert.ok(hasSettled(history(1, text))));

  const goesOn: [string, string][] = [
    ['three quiet steps', '+3 m s m'],
    ['two pairs on the same K', '+1 m +1 -1'],
    ['K still grows', '+4 -1 +2 -1 +1 m'],
    ['K still falls', '+9 -1 s -1 s -1'],
    ['pairs on the same K with another between', '+4 -1 +1 -1 +2 -1 +1 -2'],
    ['three equal pairs before, and now another K', '+1 -1 +1 -1 +1 m'],
    ['a deep proposal after two quiet steps', '+1 m s m +3'],
    ['a split after three equal pairs', '+1 -1 +1 -1 +1 -1 +1'],
    ['a merge that ends on the K of the last splits, not merges', '+4 m +1 -2'],
  ];
  for (const [why, text] of goesOn)
    test(`not settled, ${why}: ${text}`, () => assert.ok(!hasSettled(history(1, text))));

  test('never without steps, nor right after a successful split', () => {
    assert.ok(!hasSettled([]));
    const past = fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 6 });
    fc.assert(
      fc.property(past, fc.integer({ min: 1, max: 5 }), (pairs, last) => {
        const text = pairs.flatMap(([up, down]) => [up ? `+${up}` : 's', down ? `-${down}` : 'm']);
        assert.ok(!hasSettled(history(20, [...text, `+${last}`].join(' '))));
      }),
    );
  });
});

describe('a run has stalled', () => {
  for (const text of ['s m', '+1 m s', '+2 m +1 -1', '+2 m s m', '+3 -1 +1 -1'])
    test(`so that deep proposals are tried: ${text}`, () => assert.ok(hasStalled(history(1, text))));
  for (const text of ['+1', 's', '+1 m', '+1 m +1 m', '+4 m s -1', '+2 m +1 -1 +1'])
    test(`not stalled: ${text}`, () => assert.ok(!hasStalled(history(1, text))));
  test('where it has settled with a merge', () => {
    for (const text of ['s m s m', '+1 -1 +1 -1 +2 -2']) assert.ok(hasStalled(history(1, text)));
  });
});

test('the steps that are kept decide as all of them would, however many there were', () => {
  const pair = fc.tuple(fc.nat(1), fc.nat(1));
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 12 }), fc.boolean(), fc.nat(8), (pairs, endsOnSplit, old) => {
      const words = pairs.flatMap(([up, down]) => [up ? `+${up}` : 's', down ? `-${down}` : 'm']);
      const all = words.length ? history(30, words.join(' ')).slice(0, endsOnSplit ? -1 : undefined) : [];
      // An older checkpoint has all of its steps.
      const kept = all.slice(old).reduce(withStep, all.slice(0, old));
      assert.deepEqual([hasSettled(kept), hasStalled(kept)], [hasSettled(all), hasStalled(all)]);
      assert.deepEqual(kept.at(-1), all.at(-1));
      if (all.length > old) assert.ok(kept.length <= 6);
    }),
  );
});
