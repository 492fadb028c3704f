// What people type who come from other tools, or who type as little as they can.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { argumentProblem, type Parsed } from '../../cli/arguments.ts';
import { evaluate } from '../../cli/labels.ts';
import { cut, predict, rename } from '../../cli/results.ts';
import { train } from '../../cli/runs.ts';
import { called } from '../e2e/in-process.ts';
import { dpmesh, easyData, jsonOf, QUICK, scratch } from '../e2e/support.ts';

const folder = scratch();

type Command = Parameters<typeof argumentProblem>[2];

/** The problem of a call with this unknown flag. */
function problemOf(command: Command, flag: string): string {
  const required = Object.keys(command.builder).filter((name) => command.builder[name].demandOption);
  const parsed = { _: ['x'], ...Object.fromEntries(required.map((name) => [name, 'x'])), [flag]: 3 };
  return argumentProblem(parsed, [`--${flag}`, '3'], command)!;
}

describe('flags of other tools', () => {
  test('are suggested where the command has the flag', () => {
    assert.equal(problemOf(train, 'n-clusters'), 'unknown flag --n-clusters; did you mean --clusters?');
    assert.equal(problemOf(cut, 'n-clusters'), 'unknown flag --n-clusters; did you mean --clusters?');
    const none = 'unknown flag --random-state; dpmesh predict --help lists all flags';
    assert.equal(problemOf(predict, 'random-state'), none);
  });

  test('a slip of the keyboard is told the nearest name, another word is not', () => {
    assert.equal(problemOf(train, 'max-epocs'), 'unknown flag --max-epocs; did you mean --max-epochs?');
    assert.match(problemOf(train, 'purple-elephants'), /-elephants; dpmesh train --help lists all flags$/);
  });
});

describe('words in place of flags', () => {
  /** Parsed arguments, in which words have their place, as yargs leaves them. */
  const filled = (command: Command, parsed: Record<string, unknown>) => {
    const all: Parsed = { _: ['x'], ...parsed };
    return { problem: argumentProblem(all, [], command), parsed: all };
  };

  test('go to the flags that are not given, in order', () => {
    assert.equal(filled(train, { file: 'x.npy' }).parsed.data, 'x.npy');
    const { run, data } = filled(predict, { folder: 'runs/x', file: 'new.npy', out: 'y.npy' }).parsed;
    assert.deepEqual([run, data], ['runs/x', 'new.npy']);
    assert.equal(filled(predict, { folder: 'new.npy', run: 'runs/x', out: 'y.npy' }).parsed.data, 'new.npy');
    const { pred, labels } = filled(evaluate, { clusters: 'a.npy', classes: 'b.npy' }).parsed;
    assert.deepEqual([pred, labels], ['a.npy', 'b.npy']);
  });

  test('are numbers where the flag takes one', () => {
    const words = (label: string) => filled(rename, { folder: 'runs/x', label, text: '7' });
    const { run, cluster, name } = words('3').parsed;
    assert.deepEqual([run, cluster, name], ['runs/x', 3, '7']);
    assert.equal(words('three').problem, '--cluster three must be a number');
    assert.equal(words('').problem, '--cluster must be a number');
  });

  test('are an error where the flag is given as well, or missing', () => {
    const { problem } = filled(train, { file: 'x.npy', data: 'y.npy' });
    assert.equal(problem, 'x.npy and --data y.npy are both given for --data; leave one out');
    assert.match(filled(predict, { folder: 'runs/x', out: 'y.npy' }).problem!, /^--data is missing: /);
  });

  test('train, predict and evaluate', async () => {
    const { data, labels } = easyData(folder, 'easy', 600);
    const flags = ['--out', 'run', '--no-report', '--json', '--max-epochs', 6, ...QUICK];
    // One worker for each core, at most as many as there are shards.
    const trained = jsonOf(
      await dpmesh(['train', data, ...flags, '--shards', 1, '--n-jobs', -1], { cwd: folder }),
    );
    assert.deepEqual([trained.rows, trained.workers], [600, 1]);
    const labelled = await dpmesh(['predict', 'run', data, '--out', 'p.npy'], { cwd: folder });
    assert.equal(labelled.code, 0, labelled.stderr);
    const scores = jsonOf(await dpmesh(['evaluate', 'p.npy', 'run/labels.npy', '--json'], { cwd: folder }));
    assert.equal(scores.ari, 1);
    // A file whose name is a number is no number.
    writeFileSync(join(folder, '007'), 'no data');
    for (const [args, says] of [
      [['train', '007'], /^dpmesh: 007 has an unsupported format/],
      [['train', data, '--data', labels], /^dpmesh: .* are both given for --data; for several files/],
      [['train', data, labels], /^dpmesh: unexpected argument .*: no flag takes it; for several files, put /],
      [['train', data, 'words'], /argument words: no flag takes it\n$/],
      // Below 0 they are counted from all cores.
      [['train', 'x.npy', '--workers', '-1.5'], /^dpmesh: --workers -1\.5 must be a whole number/],
    ] as const) {
      const { code, stderr } = await called(args, folder);
      assert.equal(code, 2);
      assert.match(stderr, says);
    }
  });
});

test('of a flag that is given twice, the last value counts, also 1', async () => {
  const args = ['--out', 'twice.npy', '--labels', 'of-twice.npy', '--points', 5, '--points', 1];
  const { points } = jsonOf(await dpmesh(['synth', ...args, '--json'], { cwd: folder }));
  assert.equal(points, 1);
});

test('a copied key is ignored by git', () => {
  const inRepository = spawnSync('git', ['rev-parse']).status === 0;
  if (inRepository) execFileSync('git', ['check-ignore', '--quiet', '--no-index', 'some/where/alice.key']);
});
