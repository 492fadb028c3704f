// Whatever file stands behind a flag: one line that names it, exit code 2, within seconds.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { called } from '../e2e/in-process.ts';
import { checkpointsOf, easyData, patience, scratch } from '../e2e/support.ts';
import { fitted } from '../fitted.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const easy = easyData(folder, 'easy', 200);
const [run, stopped] = [path('run'), path('stopped')];

const odd: Record<string, string> = {
  '/dev/zero': '/dev/zero',
  'a FIFO without a writer': path('fifo'),
  'a folder': path('folder'),
  'an empty file': path('empty'),
  'a file of one byte': path('byte'),
  'a link to itself': path('loop'),
  'a name that is too long': path('n'.repeat(300)),
  'a path below a file': path('byte/x'),
};
mkdirSync(odd['a folder']);
symlinkSync('loop', odd['a link to itself']);
execFileSync('mkfifo', [odd['a FIFO without a writer']]);
writeFileSync(odd['an empty file'], '');
writeFileSync(odd['a file of one byte'], '7', { mode: 0o600 });
// For root there is no such file.
if (process.getuid?.() !== 0) {
  odd['a file without permission'] = path('closed');
  writeFileSync(odd['a file without permission'], 'x');
  chmodSync(odd['a file without permission'], 0);
}

/** The place of the odd file. */
const FILE = '<file>';
const train = `train --data ${easy.data} --out out`;
const connect = '--connect tcp://127.0.0.1:1 --give-up-after 1';
const commands = `
  train --data ${FILE} --out out
  ${train} --labels ${FILE}
  ${train} --config ${FILE}
  train --data ${easy.data} --out ${FILE}
  train --data ${easy.data} --out ${FILE} --force
  coordinator --data ${easy.data} --out out --keys ${FILE}
  resume ${FILE}
  resume ${stopped} --from ${FILE}
  resume ${stopped} --data ${FILE}
  resume ${stopped} --labels ${FILE}
  worker ${connect} --key ${FILE}
  launch ${connect} --cpus 1 --gpus none --key ${FILE}
  worker ${connect} --data-root ${FILE}
  predict --run ${FILE} --data ${easy.data} --out p.npy
  predict --run ${run} --data ${FILE} --out p.npy
  predict --run ${run} --data ${easy.data} --out ${FILE}
  cut --run ${FILE} --clusters 1
  cut --run ${run} --clusters 1 --out ${FILE}
  evaluate --pred ${FILE} --labels ${easy.labels}
  evaluate --pred ${easy.labels} --labels ${FILE}
  plot --run ${FILE}
  plot --run ${run} --labels ${FILE}
  keygen ${FILE}
  synth --out ${FILE} --labels y.npy
  synth --out x.npy --labels ${FILE}`;
/** An empty folder is where a run, or keys, may be made, and below which data may be. */
const isAllowed = (words: string[], what: string) => {
  const before = words[words.indexOf(FILE) - 1];
  const takesFolder =
    ['keygen', '--data-root'].includes(before) || (words[0] === 'train' && before === '--out');
  return what === 'a folder' && takesFolder;
};

describe('a file that is none', () => {
  before(async () => {
    await fitted('gaussian', run);
    cpSync(run, stopped, { recursive: true });
    const file = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    writeFileSync(join(stopped, 'run.json'), JSON.stringify({ ...file, result: null }));
    assert.ok(checkpointsOf(stopped).length);
  });

  for (const command of commands
    .trim()
    .split('\n')
    .map((line) => line.trim().split(' ')))
    for (const [what, file] of Object.entries(odd))
      if (!isAllowed(command, what))
        test(`${command.map((word) => word.replace(`${folder}/`, '')).join(' ')}: ${what}`, async () => {
          const cwd = mkdtempSync(path('cwd-'));
          // Of its own: another test may hold it.
          const own = mkdtempSync(path('stopped-'));
          if (command.includes(stopped)) cpSync(stopped, own, { recursive: true });
          const args = command.map((word) => (word === FILE ? file : word === stopped ? own : word));
          const { code, stdout, stderr, seconds } = await called(args, cwd);
          const wrong = stderr.split('\n').filter((line) => line && !/^dpmesh: warning: /.test(line));
          assert.deepEqual([code, wrong.length, stdout], [2, 1, ''], stderr || stdout);
          assert.match(wrong[0], /^dpmesh: .{10}/);
          // A key file that cannot be, for the folder of keys that it would be in, is one.
          assert.ok(wrong[0].includes(what === 'a path below a file' ? path('byte') : file), wrong[0]);
          assert.ok(seconds < patience(5), `${seconds} s`);
          assert.deepEqual(readdirSync(cwd), []);
        });
});
