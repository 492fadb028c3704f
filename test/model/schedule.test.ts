import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  fastSchedule,
  hasSettled,
  hasStalled,
  isCycling,
  nextChange,
  nextPace,
  type Pace,
  paperSchedule,
  quietSteps,
  type Schedule,
  type Step,
  trainsSubNets,
  wasExhaustive,
  withStep,
} from '../../model/schedule.ts';
import { forAll } from './support.ts';

const fast = fastSchedule(6);
const paper = paperSchedule(30);
const epochs = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/**
 * A history from a short notation: `+2` a split that adds two, `-1` a merge that removes one, `s` and `m` without change, and
 * `S` or `+2!` a split step with all proposals.
 */
function history(k: number, text: string, progress: number | null = null): Step[] {
  return text.split(' ').map((word): Step => {
    const by = Number.parseInt(word, 10) || 0;
    k += by;
    const kind = /^s$/i.test(word) || by > 0 ? 'split' : 'merge';
    const exhaustive = /S|!/.test(word) && { exhaustive: true as const };
    return { kind, changed: Math.abs(by), k, progress: kind === 'merge' ? progress : null, ...exhaustive };
  });
}

/** What a run without any change does: its steps, and the epochs in which the sub-nets train. `lossIn` an epoch. */
function run(
  schedule: Schedule,
  to: number,
  { frozen = 0, lossIn = (_: number): number | null => null } = {},
) {
  let pace: Pace = {
    ...{ frozen, patience: schedule.patience, untilStep: schedule.firstStep },
    ...{ loss: null, lossSinceChange: null },
  };
  let steps: Step[] = [];
  const changes: string[] = [];
  const trained: number[] = [];
  const moved: number[] = [];
  for (const epoch of epochs(1, to)) {
    if (trainsSubNets(schedule, epoch, pace, steps, 2)) trained.push(epoch);
    if (pace.frozen === 0) moved.push(epoch);
    pace = nextPace(pace, lossIn(epoch));
    if (pace.untilStep > 0) continue;
    const kind = nextChange(steps);
    changes.push(`${kind} ${epoch}`);
    steps = withStep(steps, { kind, changed: 0, k: 1, progress: null });
    pace = { ...pace, untilStep: schedule.every };
  }
  return { changes, trained, moved, pace };
}

describe('changes', () => {
  test('are a split first, then merges and splits in turn', () => {
    assert.equal(nextChange([]), 'split');
    assert.equal(nextChange(history(1, '+1')), 'merge');
    assert.equal(nextChange(history(1, 's')), 'merge');
    assert.equal(nextChange(history(1, 's m')), 'split');
    assert.equal(nextChange(history(1, '+2 -1')), 'split');
  });

  test('fast: every six epochs', () => {
    const expected = ['split 6', 'merge 12', 'split 18', 'merge 24', 'split 30'];
    assert.deepEqual(run(fast, 30).changes, expected);
    assert.deepEqual(run(fastSchedule(1), 3).changes, ['split 1', 'merge 2', 'split 3']);
  });

  test('paper: first split at 55, then every 30', () => {
    const expected = ['split 55', 'merge 85', 'split 115', 'merge 145', 'split 175'];
    assert.deepEqual(run(paper, 180).changes, expected);
  });
});

describe('the pace', () => {
  const pace = (change: Partial<Pace>): Pace => ({
    ...{ frozen: 0, patience: 24, untilStep: 6, loss: null, lossSinceChange: change.loss ?? null },
    ...change,
  });

  test('keeps the mixture frozen, and the step waiting, while the net still learns the clusters', () => {
    const waits = pace({ frozen: 1, loss: 1 });
    assert.deepEqual(nextPace(waits, 0.5), pace({ frozen: 1, patience: 23, loss: 0.5 }));
    const first = pace({ frozen: 1 });
    assert.deepEqual(nextPace(first, 0.5), pace({ frozen: 1, patience: 23, loss: 0.5 }));
  });

  test('goes on once the net has learned them, learns no more, has no more patience, or does not train', () => {
    const thawed = (loss: number) => pace({ untilStep: 5, loss });
    assert.deepEqual(nextPace(pace({ frozen: 1, loss: 1 }), 0.04), thawed(0.04));
    assert.deepEqual(nextPace(pace({ frozen: 1, loss: 0.51 }), 0.5), thawed(0.5));
    assert.deepEqual(nextPace(pace({ frozen: 1, loss: 0.5 }), 0.6), thawed(0.6));
    assert.deepEqual(nextPace(pace({ frozen: 1, loss: 1, patience: 0 }), 0.5), {
      ...thawed(0.5),
      patience: 0,
    });
    assert.deepEqual(nextPace(pace({ frozen: 1, loss: 0.5 }), null), thawed(0.5));
  });

  test('delays steps by the epochs of patience, and by no more', () => {
    const halves = (epoch: number) => 2 ** -epoch;
    const { changes, moved } = run(fast, 20, { frozen: 2, lossIn: halves });
    // Frozen for two epochs and three more, until the loss is below 0.05.
    assert.deepEqual(changes, ['split 9', 'merge 15']);
    assert.deepEqual(moved, epochs(6, 20));
    const slow = run(fast, 60, { frozen: 2, lossIn: (epoch) => 100 * 0.9 ** epoch });
    assert.deepEqual(slow.changes.slice(0, 2), ['split 30', 'merge 36']);
    assert.deepEqual(slow.moved, epochs(27, 60));
    const without = run(paperSchedule(6), 60, { frozen: 2, lossIn: halves });
    assert.deepEqual([without.changes, without.moved], [['split 55'], epochs(3, 60)]);
  });
});

describe('sub-nets train', () => {
  test('fast: in the last epoch before a split', () => {
    assert.deepEqual(run(fast, 30).trained, [6, 18, 30]);
    assert.deepEqual(run(fastSchedule(2), 8).trained, [2, 6]);
  });

  test('a single cluster’s: in all epochs before a split', () => {
    for (const untilStep of [1, 6]) assert.ok(trainsSubNets(fast, 1, { untilStep }, [], 1));
    assert.ok(!trainsSubNets(fast, 1, { untilStep: 2 }, [], 2));
    assert.ok(!trainsSubNets(fast, 9, { untilStep: 1 }, history(1, 's'), 1));
  });

  test('paper: in all epochs from 45 on', () => {
    assert.deepEqual(run(paper, 300).trained, epochs(45, 300));
  });
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

const ROWS = 1000;
const settled = (steps: readonly Step[], rows = ROWS, schedule = fast, freeze = 2) =>
  hasSettled(steps, rows, schedule, freeze);

describe('a run has settled', () => {
  const settles: [string, string][] = [
    ['a merge, and a split with all proposals, changed nothing', '+3 m S'],
    ['the same, after a split that changed nothing', '+3 -1 s m S'],
    ['at K = 1', 'S m S'],
    ['four steps changed nothing', '+3 m s m s'],
    ['three pairs ended on the same K, each merge undoing its split', '+1 -1 +1 -1 +2 -2'],
    ['the same, after other pairs', '+5 m +2 -1 +2 -2 +1 -1'],
    ['the same, one of them without a change', '+5 m +1 -1 s m'],
  ];
  for (const [why, text] of settles) test(`${why}: ${text}`, () => assert.ok(settled(history(1, text))));

  const goesOn: [string, string][] = [
    ['a quiet split after a merge that changed K', '+3 -1 S'],
    ['a quiet merge, and a split without all proposals', '+3 -1 s m s'],
    ['the same, and a quiet merge', '+3 -1 s m'],
    ['a single quiet split', 'S'],
    ['two pairs on the same K, the last with all proposals, of unknown progress', '+1 m +1! -1'],
    ['two pairs on the same K', '+1 m +1 -1'],
    ['K still grows', '+4 -1 +2 -1 +1 m'],
    ['K still falls', '+9 -1 s -1 s -1'],
    ['pairs on the same K with another between', '+4 -1 +1 -1 +2 -1 +1 -2'],
    ['three equal pairs before, and now another K', '+1 -1 +1 -1 +1 m'],
    ['a deep proposal after a quiet step', '+1 m +3'],
    ['a split after three equal pairs', '+1 -1 +1 -1 +1 -1 +1'],
    ['a merge that ends on the K of the last splits, not merges', '+4 m +1 -2'],
  ];
  for (const [why, text] of goesOn)
    test(`not settled, ${why}: ${text}`, () => assert.ok(!settled(history(1, text))));

  test('on the same K, but only once the last pair has made no progress, or five ended on it', () => {
    const pairs = (count: number) => Array(count).fill('+1 -1').join(' ');
    const least = 1e-3 * ROWS;
    for (const progress of [null, -5, 0, least]) assert.ok(settled(history(1, pairs(3), progress)));
    for (const count of [3, 4]) assert.ok(!settled(history(1, pairs(count), 1.1 * least)));
    assert.ok(settled(history(1, pairs(5), 1.1 * least)));
    assert.ok(settled(history(1, pairs(4), 1.1 * least), 2 * ROWS), 'in proportion to the rows');
    // Only that of the last pair counts.
    const [before, last] = [history(1, pairs(2), 50 * least), history(1, pairs(1), 0)];
    assert.ok(settled([...before, ...last]));
    const [quiet, moves] = [history(1, pairs(2), 0), history(1, pairs(1), 50 * least)];
    assert.ok(!settled([...quiet, ...moves]));
  });

  test('not before the mixture has moved since K changed', () => {
    const at = (every: number, freeze: number, text: string) =>
      settled(history(1, text), ROWS, fastSchedule(every), freeze);
    assert.ok(!at(1, 2, '+3 m S') && at(1, 2, '+3 m S m s'));
    assert.ok(!at(6, 12, '+3 m S') && at(6, 11, '+3 m S'));
  });

  test('on the same K twice, if all was proposed and nothing gained', () => {
    const twice = (split: string, progress: number) => settled(history(1, `+4 -1 ${split} -2`, progress));
    assert.ok(twice('+2!', 0) && twice('+2!', 1e-3 * ROWS));
    assert.ok(!twice('+2!', 1.1e-3 * ROWS) && !twice('+2', 0));
  });
});

describe('a run has stalled', () => {
  for (const text of ['s m', '+1 m', '+4 m +1 m'])
    test(`after ${text} and no split in this step`, () => {
      assert.ok(hasStalled(history(1, text), 0));
      assert.ok(!hasStalled(history(1, text), 1));
    });
  for (const text of ['+2 m +1 -1', '+3 -1 +1 -1', '+2 m s m'])
    test(`cycling after ${text}, even if this step splits a cluster`, () => {
      assert.ok(isCycling(history(1, text)));
      for (const splits of [0, 1]) assert.ok(hasStalled(history(1, text), splits));
    });
  for (const text of ['+2 -1', '+4 m s -1', '+2 -1 +1 -2'])
    test(`not stalled: ${text}`, () => {
      for (const splits of [0, 1]) assert.ok(!hasStalled(history(1, text), splits));
    });
});

test('a split step with all proposals counts until K changes', () => {
  const all = { kind: 'split', changed: 0, k: 3, progress: null, exhaustive: true } as const;
  const merge = { kind: 'merge', changed: 0, k: 3, progress: null } as const;
  assert.ok(wasExhaustive([all]));
  assert.ok(wasExhaustive([all, merge]));
  assert.ok(!wasExhaustive([merge]));
  assert.ok(!wasExhaustive([all, { ...merge, changed: 1, k: 2 }]));
  assert.ok(!wasExhaustive([{ ...all, changed: 1 }, merge]));
});

test('the steps that are kept decide as all of them would, however many there were', () => {
  const pair = fc.record({ up: fc.nat(1), down: fc.nat(1), progress: fc.option(fc.constantFrom(0, 5)) });
  forAll([fc.array(pair, { maxLength: 12 }), fc.boolean(), fc.nat(12)], (pairs, endsOnSplit, old) => {
    const words = pairs.flatMap(({ up, down }) => [up ? `+${up}` : 's', down ? `-${down}` : 'm']);
    const steps = words.length ? history(30, words.join(' ')) : [];
    const all = steps
      .map((step, i) => (step.kind === 'merge' ? { ...step, progress: pairs[i >> 1].progress } : step))
      .slice(0, endsOnSplit ? -1 : undefined);
    // An older checkpoint has all of its steps.
    const kept = all.slice(old).reduce(withStep, all.slice(0, old));
    for (const decide of [
      (steps: readonly Step[]) => settled(steps),
      (steps: readonly Step[]) => hasStalled(steps, 0),
      isCycling,
    ])
      assert.equal(decide(kept), decide(all));
    assert.deepEqual(kept.at(-1), all.at(-1));
    assert.equal(nextChange(kept), nextChange(all));
    if (all.length > old) assert.ok(kept.length <= 10);
  });
});
