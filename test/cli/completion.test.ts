import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commands } from '../../cli/commands.ts';
import { SCRIPTS } from '../../cli/completion-scripts.ts';
import { dpmesh, scratch } from '../e2e/support.ts';

const folder = scratch();
const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

/** Writes the script for a shell, and what it is to do with it; returns the lines that it prints. */
function run(shell: 'bash' | 'zsh' | 'fish', program: string): string[] {
  const script = join(folder, `completion.${shell}`);
  writeFileSync(script, SCRIPTS[shell](commands));
  const home = join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const flags = { bash: ['--norc'], zsh: ['--no-rcs'], fish: ['--no-config'] }[shell];
  const ran = spawnSync(shell, [...flags, '-c', program.replaceAll('SCRIPT', script)], {
    encoding: 'utf8',
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: home },
  });
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
  return ran.stdout.split('\n').filter(Boolean);
}

/** What bash completes the last of the words to; files are up to bash where this is empty. */
const inBash = (...words: string[]) =>
  run(
    'bash',
    `source SCRIPT
COMP_WORDS=(dpmesh ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_dpmesh
[ \${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"
complete -p dpmesh >/dev/null`,
  );

describe('completion in bash', { skip: !has('bash') }, () => {
  test('of commands, flags and their values', () => {
    assert.deepEqual(inBash('tr'), ['train']);
    assert.ok(inBash('').length > commands.length);
    assert.deepEqual(inBash('train', '--max'), ['--max-epochs']);
    assert.deepEqual(inBash('train', 'x.npy', '--co'), [
      '--config',
      '--columns',
      '--covariance',
      '--coarsening',
    ]);
    assert.deepEqual(inBash('train', '--covariance', ''), ['full', 'diag']);
    assert.deepEqual(inBash('train', '--covariance', '=', 'd'), ['diag']);
    assert.deepEqual(inBash('train', '--covariance', '='), ['full', 'diag']);
    assert.deepEqual(inBash('predict', '--o'), ['--out']);
    assert.deepEqual(inBash('train', '--no-r'), ['--no-report']);
    assert.deepEqual(inBash('train', '--n-j'), ['--n-jobs']);
    assert.deepEqual(inBash('setup', 't'), ['tensorflow']);
  });

  test('leaves files to bash', () => {
    assert.deepEqual(inBash('train', ''), []);
    assert.deepEqual(inBash('train', '--data', ''), []);
    assert.deepEqual(inBash('train', '--data', '--ou'), []);
    assert.deepEqual(inBash('nonesuch', '--ou'), []);
  });
});

test('completion in zsh', { skip: !has('zsh') }, () => {
  // Stand-ins for the functions of its completion system, which need a terminal.
  const inZsh = (...words: string[]) =>
    run(
      'zsh',
      `compdef() { }
_describe() { local name=$@[-1]; print -l -- "\${(@P)name}" }
compadd() { print -l -- "\${@[2,-1]}" }
_files() { print FILES }
source SCRIPT
words=(dpmesh ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length + 1}
_dpmesh`,
    );
  assert.ok(inZsh('tr').some((item) => item.startsWith('train:cluster a file')));
  assert.ok(inZsh('train', '--max').some((item) => item.startsWith('--max-epochs:maximum number')));
  assert.deepEqual(inZsh('train', '--covariance', ''), ['full', 'diag']);
  assert.deepEqual(inZsh('setup', ''), ['tensorflow', 'webgpu']);
  assert.deepEqual(inZsh('train', ''), ['FILES']);
  assert.deepEqual(inZsh('train', '--data', ''), ['FILES']);
});

test('completion in fish', { skip: !has('fish') }, () => {
  const inFish = (line: string) => run('fish', `source SCRIPT; complete -C '${line}'`);
  assert.deepEqual(inFish('dpmesh trai'), ['train\tcluster a file with workers on this machine']);
  assert.deepEqual(inFish('dpmesh train --max'), ['--max-epochs\tmaximum number of epochs']);
  const values = inFish('dpmesh train --covariance ').map((item) => item.split('\t')[0]);
  assert.deepEqual(values.toSorted(), ['diag', 'full']);
  writeFileSync(join(folder, 'rows.npy'), '');
  for (const line of ['dpmesh train row', 'dpmesh train --data row'])
    assert.deepEqual(
      inFish(line).map((item) => item.split('\t')[0]),
      ['rows.npy'],
    );
  assert.deepEqual(
    inFish('dpmesh setup t').map((item) => item.split('\t')[0]),
    ['tensorflow'],
  );
});

test('dpmesh completion prints the script for the shell that is named, or is that of the user', async () => {
  const named = await dpmesh(['completion', 'bash']);
  assert.equal(named.code, 0, named.stderr);
  // With the command itself.
  assert.match(named.stdout, /'completion '\*\) words='bash zsh fish'/);
  const own = await dpmesh(['completion'], { env: { SHELL: '/usr/bin/fish' } });
  assert.match(own.stdout, /^# completion of dpmesh in fish/);
  const other = await dpmesh(['completion', 'csh']);
  assert.deepEqual(
    [other.code, other.stderr],
    [
      2,
      'dpmesh: no completion for csh; use dpmesh completion bash, or dpmesh completion zsh, or dpmesh completion fish\n',
    ],
  );
});
