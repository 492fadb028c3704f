import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ioError, remove } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-remove-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]) => join(folder, ...parts);

test('removes a folder with its contents, but not the targets of links in it', () => {
  mkdirSync(at('run/model'), { recursive: true });
  mkdirSync(at('kept'));
  for (const name of ['run/x', 'run/model/x', 'kept/x']) writeFileSync(at(name), name);
  symlinkSync(at('kept'), at('run/folder'));
  symlinkSync(at('kept/x'), at('run/file'));
  symlinkSync(at('nowhere'), at('run/broken'));
  remove(at('run'));
  assert.ok(!existsSync(at('run')));
  assert.equal(readFileSync(at('kept/x'), 'utf8'), 'kept/x');
  remove(at('run'));
  remove(at('no/such/thing'));
});

test('on a read-only disk: gives the reason in words', (t) => {
  const disk = at('disk');
  mkdirSync(disk);
  writeFileSync(join(disk, 'x'), '');
  const mount = (...args: string[]) => spawnSync('mount', args).status === 0;
  if (!mount('--bind', disk, disk) || !mount('-o', 'remount,bind,ro', disk))
    return t.skip('nothing can be mounted here');
  try {
    for (const path of [join(disk, 'x'), disk])
      assert.throws(
        () => {
          try {
            remove(path);
          } catch (error) {
            throw ioError(path, 'written', error);
          }
        },
        (error: Error) => error instanceof UserError && /the file system is read-only$/.test(error.message),
      );
  } finally {
    spawnSync('umount', [disk]);
  }
});
