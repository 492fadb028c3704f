import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dpmesh, scratch } from '../e2e/support.ts';

const hasBash = spawnSync('bash', ['--version']).status === 0;

test('bash completes commands, flags and their values, and else files', { skip: !hasBash }, async () => {
  const { code, stdout, stderr } = await dpmesh(['completion'], { env: { SHELL: '/bin/bash' } });
  assert.equal(code, 0, stderr);
  const script = join(scratch(), 'completion.bash');
  writeFileSync(script, stdout);
  const completed = (...words: string[]) => {
    const program = `source '${script}'; COMP_WORDS=(dpmesh ${words.map((word) => `'${word}'`).join(' ')})
COMP_CWORD=${words.length}; _dpmesh; printf '%s ' "\${COMPREPLY[@]}"; complete -p dpmesh >/dev/null`;
    const ran = spawnSync('bash', ['--norc', '-c', program], { encoding: 'utf8' });
    assert.deepEqual([ran.status, ran.stderr], [0, '']);
    return ran.stdout.trim();
  };
  for (const [line, found] of [
    ['tr', 'train'],
    ['train --max', '--max-epochs'],
    ['train x.npy --co', '--config --columns --covariance --coarsening'],
    ['train --covariance ', 'full diag'],
    ['train --covariance = d', 'diag'],
    ['train --no-r', '--no-report'],
    ['train --n-j', '--n-jobs'],
    ['setup t', 'tensorflow'],
    ['completion z', 'zsh'],
    // Files.
    ['train ', ''],
    ['train --data ', ''],
    ['train --data --ou', ''],
    ['nonesuch --ou', ''],
  ])
    assert.equal(completed(...line.split(' ')), found, line);
});

test('there is none for other shells', async () => {
  const { code, stderr } = await dpmesh(['completion', 'csh']);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^dpmesh: no completion for csh; use dpmesh completion bash, or dpmesh completion zsh/,
  );
});
