import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import {
  fromZ85,
  isWorkerName,
  makeKeys,
  newKeyPair,
  parseAllowed,
  publicOf,
  readAllowed,
  readServerKey,
  readWorkerKey,
  toZ85,
} from '../../proto/keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'dpmesh-keys-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const fresh = () => join(mkdtempSync(join(folder, 'k-')), 'keys');
const mode = (path: string) => statSync(path).mode & 0o777;

/** Expects a UserError that contains these texts, and no secret. */
function refuses(action: () => unknown, says: (string | RegExp)[], secrets: string[] = []): void {
  assert.throws(action, (error: Error) => {
    assert.ok(error instanceof UserError, String(error.stack));
    for (const part of says) {
      if (typeof part === 'string') assert.ok(error.message.includes(part), error.message);
      else assert.match(error.message, part);
    }
    for (const secret of secrets) assert.ok(!error.message.includes(secret), error.message);
    return true;
  });
}

describe('Z85', () => {
  test('the example of RFC 32', () => {
    const bytes = Buffer.from('864fd26fb559f75b', 'hex');
    assert.equal(toZ85(bytes), 'HelloWorld');
    assert.deepEqual(fromZ85('HelloWorld'), bytes);
  });
  test('encoding and decoding, and invalid text', () => {
    for (const hex of ['00000000', 'ffffffff', '00000001deadbeef'])
      assert.equal(fromZ85(toZ85(Buffer.from(hex, 'hex')))!.toString('hex'), hex);
    for (const text of ['abcd', 'abc~e', '#####', '%nSc1']) assert.equal(fromZ85(text), null, text);
  });
});

test('the public key of a secret key is the one that ZeroMQ generated', () => {
  for (let i = 0; i < 20; i++) {
    const pair = newKeyPair();
    assert.equal(publicOf(pair.secret), pair.public);
  }
});

test('names of workers', () => {
  for (const name of ['a', 'gpu-1.rack_2', 'A'.repeat(64)]) assert.ok(isWorkerName(name), name);
  for (const name of ['', '.', '..', '-a', 'a/b', 'a b', 'ä', 'A'.repeat(65), 'server', 'Server'])
    assert.ok(!isWorkerName(name), name);
});

describe('making keys', () => {
  test('files are readable by the owner only, whatever the umask', () => {
    const keys = fresh();
    const before = process.umask(0);
    try {
      makeKeys(keys, ['a', 'b']);
    } finally {
      process.umask(before);
    }
    assert.equal(mode(keys), 0o700);
    assert.deepEqual(readdirSync(keys).sort(), ['a.key', 'allowed', 'b.key', 'server.key']);
    for (const name of readdirSync(keys)) assert.equal(mode(join(keys, name)), 0o600, name);
    const server = readServerKey(keys);
    const [a, b] = ['a', 'b'].map((name) => readWorkerKey(join(keys, `${name}.key`)));
    assert.deepEqual([a.server, b.server], [server.public, server.public]);
    assert.deepEqual(
      [...readAllowed(keys)],
      [
        [a.public, 'a'],
        [b.public, 'b'],
      ],
    );
  });

  test('adding workers keeps the server’s key and the list, including comments', () => {
    const keys = fresh();
    makeKeys(keys, ['a']);
    writeFileSync(join(keys, 'allowed'), `${readFileSync(join(keys, 'allowed'), 'utf8')}# mine`);
    const before = readServerKey(keys);
    assert.equal(makeKeys(keys, ['b']).server.made, false);
    assert.deepEqual(readServerKey(keys), before);
    assert.deepEqual([...readAllowed(keys).values()], ['a', 'b']);
    assert.match(readFileSync(join(keys, 'allowed'), 'utf8'), /^# mine$/m);
  });

  test('nothing is overwritten, and nothing is written after an error', () => {
    const keys = fresh();
    makeKeys(keys, ['a']);
    const all = () => readdirSync(keys).map((name) => readFileSync(join(keys, name), 'utf8'));
    const before = all();
    refuses(() => makeKeys(keys, ['new', 'a']), ['a is already in', 'allowed']);
    writeFileSync(join(keys, 'c.key'), 'mine');
    refuses(() => makeKeys(keys, ['new', 'c']), ['c.key already exists']);
    rmSync(join(keys, 'c.key'));
    refuses(() => makeKeys(keys, ['x', 'x']), ['--workers', 'x twice']);
    refuses(() => makeKeys(keys, ['../x']), ['--workers ../x']);
    assert.deepEqual(all(), before);
  });
});

describe('on a disk that gets full', () => {
  for (const pages of [1, 2, 3])
    test(`after ${pages} files: none of the new keys is left, and there can be another attempt`, (t) => {
      const disk = fresh();
      mkdirSync(disk);
      const mount = (...options: string[]) =>
        spawnSync('mount', ['-t', 'tmpfs', ...options, 'none', disk]).status === 0;
      if (!mount('-o', `size=${pages * 4096}`)) return t.skip('nothing can be mounted here');
      try {
        const keys = join(disk, 'keys');
        refuses(() => makeKeys(keys, ['a', 'b']), ['cannot be written: no space left on the disk']);
        assert.deepEqual(readdirSync(keys), []);
        mount('-o', 'remount,size=1m');
        makeKeys(keys, ['a', 'b']);
        assert.equal(readAllowed(keys).size, 2);
      } finally {
        spawnSync('umount', [disk]);
      }
    });
});

describe('reading keys', () => {
  const keys = fresh();
  makeKeys(keys, ['a', 'b']);
  const [serverFile, workerFile] = ['server', 'a'].map((name) => join(keys, `${name}.key`));
  const worker = readWorkerKey(workerFile);
  /** A worker's key file with this content. */
  const put = (content: unknown, name = 'bad') => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    chmodSync(path, 0o600);
    return path;
  };
  const whole = { kind: 'worker', name: 'a', ...worker };

  test('keys that other users can read are rejected', () => {
    for (const bits of [0o640, 0o604, 0o660, 0o610]) {
      const path = put(whole, `open-${bits}`);
      chmodSync(path, bits);
      refuses(() => readWorkerKey(path), [path, `0${bits.toString(8)}`, 'chmod 600']);
    }
    chmodSync(join(keys, 'allowed'), 0o644);
    assert.equal(readAllowed(keys).size, 2);
    chmodSync(join(keys, 'allowed'), 0o664);
    refuses(() => readAllowed(keys), ['allowed', 'chmod 600']);
    chmodSync(join(keys, 'allowed'), 0o600);
  });

  test('a folder that other users can write to is rejected, except one like /tmp', () => {
    const open = fresh();
    makeKeys(open, ['a']);
    for (const bits of [0o777, 0o770, 0o722, 0o775]) {
      chmodSync(open, bits);
      for (const read of [() => readServerKey(open), () => readAllowed(open), () => makeKeys(open, ['b'])])
        refuses(read, [open, `0${bits.toString(8)}`, 'chmod go-w']);
    }
    // Also if a link to it is in a safe folder.
    const link = join(folder, 'link.key');
    symlinkSync(join(open, 'a.key'), link);
    refuses(() => readWorkerKey(link), [open, 'chmod go-w']);
    for (const bits of [0o755, 0o1777]) {
      chmodSync(open, bits);
      assert.deepEqual(readWorkerKey(join(open, 'a.key')), readWorkerKey(link));
    }
    const empty = mkdtempSync(join(folder, 'open-'));
    chmodSync(empty, 0o777);
    refuses(() => makeKeys(empty, ['a']), [empty, '0777', 'chmod go-w']);
    assert.deepEqual(readdirSync(empty), []);
  });

  test('files of another user', { skip: process.getuid?.() !== 0 && 'only root can make such' }, () => {
    const path = put(whole, 'other');
    chownSync(path, 12345, 12345);
    refuses(() => readWorkerKey(path), [path, 'another user (uid 12345)', 'make new keys']);
    const theirs = fresh();
    makeKeys(theirs, ['a']);
    chownSync(theirs, 12345, 12345);
    refuses(() => readServerKey(theirs), [theirs, 'another user']);
    refuses(() => makeKeys(theirs, ['b']), [theirs, 'another user']);
  });

  test('the wrong kind of key', () => {
    refuses(() => readWorkerKey(serverFile), [serverFile, 'coordinator --keys', 'worker --key']);
    const swapped = fresh();
    makeKeys(swapped, ['a']);
    writeFileSync(join(swapped, 'server.key'), readFileSync(join(swapped, 'a.key')));
    refuses(() => readServerKey(swapped), ['server.key', 'worker --key']);
  });

  const broken: [string, unknown, string][] = [
    ['not JSON', 'hello', 'not JSON'],
    ['JSON that is not an object', '7', '"kind"'],
    ['null', 'null', '"kind"'],
    ['no kind', { ...whole, kind: undefined }, '"kind"'],
    ['a short secret', { ...whole, secret: worker.secret.slice(5) }, '"secret"'],
    ['no server', { ...whole, server: undefined }, '"server"'],
    ['not Z85', { ...whole, public: '~'.repeat(40) }, '"public"'],
    ['above 2³²', { ...whole, public: '#'.repeat(40) }, '"public"'],
    ['keys that do not belong together', { ...whole, public: newKeyPair().public }, 'do not belong together'],
  ];
  for (const [name, content, says] of broken)
    test(name, () => {
      const path = put(content);
      refuses(() => readWorkerKey(path), [path, says], [worker.secret, worker.secret.slice(5)]);
    });

  test('a missing file, or not a file', () => {
    refuses(() => readWorkerKey(join(folder, 'nope')), ['there is no', 'nope', 'keygen']);
    refuses(() => readServerKey(workerFile), [workerFile, 'is a file', 'give the folder']);
    refuses(() => readWorkerKey(folder), ['is a folder']);
    refuses(() => readWorkerKey(put('')), ['empty']);
  });
});

describe('an allow-list', () => {
  const [one, two] = [newKeyPair().public, newKeyPair().public];
  test('lines, comments, spaces, line ends of other systems; a # inside a key', () => {
    const hash = toZ85(Buffer.alloc(32, 1)).replace(/^...../, '0#000');
    const allowed = parseAllowed(`# who\r\n\n  a   ${one}\r\nb\t${hash}\n`, 'list');
    assert.deepEqual(
      [...allowed],
      [
        [one, 'a'],
        [hash, 'b'],
      ],
    );
    assert.equal(parseAllowed('', 'list').size, 0);
  });
  const bad: [string, string, RegExp][] = [
    ['one word', `a ${one}\nb\n`, /^list, line 2: .*name and a public key/],
    ['three words', `# x\n\na ${one} b`, /^list, line 3: /],
    ['a bad name', `a/b ${one}`, /^list, line 1: the name/],
    ['a bad key', `a ${one.slice(1)}`, /^list, line 1: the public key/],
    ['a name twice', `a ${one}\na ${two}`, /^list, line 2: .*line 1/],
    ['a key twice', `a ${one}\nb ${two}\nc ${one}`, /^list, line 3: .*line 1/],
  ];
  for (const [name, content, says] of bad)
    test(name, () => refuses(() => parseAllowed(content, 'list'), [says]));
});
