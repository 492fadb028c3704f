import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { attempted, fileProblem, ioError, openFile, readWhole, statusOf } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { configOf } from '../../cli/run-config.ts';
import { readServerKey } from '../../proto/keys.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-open-file-'));
after(() => rmSync(home, { recursive: true }));
const at = (name: string) => join(home, name);
const refused = (act: () => unknown, says: RegExp) =>
  assert.throws(act, (error: Error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, says);
    return true;
  });

const isWindows = process.platform === 'win32';
mkdirSync(at('run/model'), { recursive: true });
writeFileSync(at('run/a'), 'inside');
writeFileSync(at('run/empty'), '');
writeFileSync(at('outside'), 'outside');

test('pipes, devices and folders are refused, not waited for', { skip: isWindows }, async () => {
  execFileSync('mkfifo', [at('pipe'), at('server.key')]);
  symlinkSync('/dev/zero', at('zeros'));
  refused(() => openFile(at('pipe')), /pipe is not a regular file/);
  refused(() => readWhole(at('zeros'), 10), /zeros is not a regular file/);
  refused(() => openFile(at('run')), /run is a folder/);
  refused(() => readServerKey(home), /server\.key is not a regular file/);
  for (const name of ['pipe', 'zeros'])
    await assert.rejects(configOf({ config: at(name) }), {
      name: 'UserError',
      message: new RegExp(`^--config .*/${name} is not a regular file`),
    });
});

test('a key of a config file is one line of a message', async () => {
  writeFileSync(at('keys.yaml'), `"a\\n${'b'.repeat(1000)}": 1`);
  await assert.rejects(configOf({ config: at('keys.yaml') }), ({ message }: Error) => {
    assert.match(message, /: unknown flag a\ufffdb+; dpmesh train --help lists all flags$/);
    return message.length < 300 + home.length;
  });
});

test('links may lead to files of the folder, not out of it', { skip: isWindows }, () => {
  const within = at('run');
  symlinkSync('a', at('run/b'));
  symlinkSync('../outside', at('run/c'));
  symlinkSync('..', at('run/up'));
  symlinkSync('run', at('alias'));
  assert.equal(readWhole(at('run/b'), 10, { within }).toString(), 'inside');
  assert.equal(readWhole(at('alias/b'), 10, { within: at('alias') }).toString(), 'inside');
  assert.equal(readWhole(at('run/c'), 10).toString(), 'outside');
  for (const name of ['c', 'up/outside'])
    refused(() => openFile(at(`run/${name}`), { within }), /is a link that leads out of .*run/);
});

test('a system call that fails anywhere is told in one line, other errors are not', () => {
  const failed = (code: string, path?: string) =>
    Object.assign(new Error(`${code}: x, open`), { code, syscall: 'open', path });
  for (const [code, says] of [
    ...[
      ['ENOSPC', 'no space left'],
      ['EDQUOT', 'quota'],
      ['EROFS', 'read-only'],
      ['EACCES', 'permission'],
    ],
    ...[
      ['EIO', 'input/output'],
      ['ENAMETOOLONG', 'too long'],
      ['ELOOP', 'symbolic'],
      ['EMFILE', 'ulimit'],
    ],
    ['ESTALE', 'stale'],
  ]) {
    const told = fileProblem(failed(code, 'a/b'));
    const start = code === 'EMFILE' ? '' : 'a/b cannot be used: ';
    assert.match(String(told?.message), new RegExp(`^${start}.*${says}`));
    refused(
      () =>
        attempted('c', 'removed', () => {
          throw failed(code);
        }),
      new RegExp(`^c cannot be removed: .*${says}`),
    );
  }
  // As Node.js reports those that it has no name for.
  for (const [name, says] of [
    ['EDQUOT', /^a cannot be written: the disk quota is exceeded$/],
    ['ESTALE', /^a cannot be written: .*stale handle/],
  ] as const) {
    const errno = -constants.errno[name];
    const unknown = Object.assign(failed(`Unknown system error ${errno}`), { errno });
    assert.match((ioError('a', 'written', unknown) as Error).message, says);
    assert.ok(fileProblem(unknown));
  }
  for (const fault of [new TypeError('x'), failed('EBADF', 'a'), failed('ECONNRESET')])
    assert.equal(fileProblem(fault), null);
  symlinkSync('itself', at('itself'));
  refused(() => statusOf(at('itself')), /itself cannot be read: too many symbolic links/);
  assert.equal(statusOf(at('nothing')), undefined);
});

test('no more is read than a file of its kind has', () => {
  refused(() => readWhole(at('outside'), 6), /outside has 7 bytes, and should have 6 at the most/);
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 2 ** 40);
  refused(() => readWhole(at('sparse'), 1 << 20), /sparse has 1099511627776 bytes/);
  refused(() => openFile(at('run/empty')), /empty is empty/);
  closeSync(openFile(at('run/empty'), { canBeEmpty: true }).fd);
});
