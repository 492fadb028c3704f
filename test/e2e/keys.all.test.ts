// Keys with real processes: which workers may join, what is logged, and that no secret is.
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addressOf,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  refused,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);

async function keygen(...more: string[]): Promise<string> {
  const keys = more[0] ?? join(mkdtempSync(join(folder, 'k-')), 'keys');
  const { code, stderr } = await dpmesh(['keygen', keys, ...more.slice(1)]);
  assert.equal(code, 0, stderr);
  return keys;
}

/** Starts a coordinator with these keys. */
const coordinator = (name: string, keys: string, ...more: (string | number)[]) =>
  startCoordinator(easy.data, join(folder, name), '--keys', keys, ...QUICK, ...more);
const worker = (address: string, ...more: string[]) =>
  start(['worker', '--connect', address, '--data-root', folder, '--name', 'tested', ...more]);

const joined = (out: string) => ofType(eventsOf(out), 'worker').length;
/** The secret keys in a folder of key files. */
const secretsOf = (keys: string) =>
  readdirSync(keys)
    .filter((name) => name.endsWith('.key'))
    .map((name) => JSON.parse(readFileSync(join(keys, name), 'utf8')).secret as string);

describe('keys', { concurrency: 2 }, () => {
  test('a run with keys: the same bytes as train’s, and no secret in its files or output', async () => {
    const keys = await keygen();
    const { run: out, running, address } = await coordinator('with-keys', keys);
    const helper = worker(address, '--key', join(keys, 'worker.key'));
    const ended = await running.ended;
    jsonOf(ended);
    const { stderr } = await helper.ended;
    const plain = join(folder, 'train');
    assert.deepEqual(resultHashes(out), await undisturbedHashes(easy.data, plain, ...QUICK));
    const written = readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    const all = [ended.stdout, ended.stderr, stderr, ...written];
    const secrets = secretsOf(keys);
    assert.equal(secrets.length, 2);
    for (const secret of secrets) for (const text of all) assert.ok(!text.includes(secret));
  });

  test('unknown peers cannot join and learn nothing; SIGHUP reloads the list of keys', async () => {
    const keys = await keygen();
    const others = await keygen();
    const { run: out, running, address } = await coordinator('strangers', keys, ...ENDLESS);
    const known = worker(address, '--key', join(keys, 'worker.key'));
    await until('the worker', () => joined(out) === 1, running);

    const list = join(keys, 'allowed');
    const before = readFileSync(list, 'utf8');
    writeFileSync(list, `${before}oops\n`);
    running.kill('SIGHUP');
    await until('the broken list', () => running.stderr().includes('kept the old list'), running);
    assert.match(running.stderr(), /kept the old list of keys: .*allowed, line 3: /);
    writeFileSync(list, before);

    const none = worker(address);
    const wrongServer = worker(address, '--key', join(others, 'worker.key'));
    await keygen(keys, '--workers', 'late');
    const late = worker(address, '--key', join(keys, 'late.key'));
    await until('the late one', () => /key \S{8}… is not on the list/.test(running.stderr()), running);
    for (const reason of ['no key', 'key file of another'])
      await until(reason, () => running.stderr().includes(`refused a connection: ${reason}`), running);
    await until(
      'words of those without',
      () => [none, wrongServer, late].every((each) => each.stderr().includes('no answer from')),
      running,
    );
    assert.match(none.stderr(), /the coordinator requires a key: use --key FILE/);
    assert.match(late.stderr(), /check that this key is on its list, /);
    assert.equal(joined(out), 1);

    running.kill('SIGHUP');
    await until('the late one', () => joined(out) === 2, running);
    writeFileSync(list, before);
    running.kill('SIGHUP');
    await until('the cut', () => ofType(eventsOf(out), 'worker-gone').length === 2, running);
    await sleep(500);
    const seen = running
      .stderr()
      .split('\n')
      .filter((line) => line.includes('refused'));
    assert.ok(seen.length < 12, seen.join('\n'));
    for (const each of [known, none, wrongServer, late, running]) {
      try {
        each.kill('SIGKILL');
      } catch {
        // It has already ended.
      }
      await each.ended;
    }
  });

  test('train gives its workers a key that process lists do not show', async () => {
    const out = join(folder, 'train-keys');
    const running = start(trainArgs(easy.data, out, '--workers', 2, ...ENDLESS, ...QUICK));
    await until('its workers', () => joined(out) === 2, running);
    for (const { pid } of ofType(eventsOf(out), 'worker'))
      for (const name of ['cmdline', 'environ'])
        assert.doesNotMatch(readFileSync(`/proc/${pid}/${name}`, 'latin1'), /secret/i);
    running.kill('SIGTERM');
    assert.equal((await running.ended).code, 130);
  });

  test('a killed coordinator resumes with its keys; its worker reconnects, and the bytes are the same', async () => {
    const keys = await keygen();
    const [out, plain] = ['resumed', 'undisturbed'].map((name) => join(folder, name));
    const flags = [...QUICK, '--no-early-stop', '--max-epochs', 60];
    const saves = ['--keys', keys, '--checkpoint-every', 0, '--no-report'];
    const { running: first, address } = await startCoordinator(easy.data, out, ...saves, ...flags);
    const helper = worker(address, '--key', join(keys, 'worker.key'), '--reconnect-for', '40');
    await until('epoch 8', () => epochOf(out) >= 8, first);
    first.kill('SIGKILL');
    await first.ended;
    refused(await dpmesh(['resume', out, '--bind', 'tcp://0.0.0.0:*']), 'without encryption or keys');
    // Keys of another folder: the worker must not accept this coordinator as its own.
    const other = start(['resume', out, '--bind', address, '--keys', await keygen(), '--json']);
    await addressOf(other);
    await until('the wrong key', () => other.stderr().includes('refused'), other);
    assert.match(other.stderr(), /key file of another coordinator, or a damaged one/);
    other.kill('SIGINT');
    assert.equal((await other.ended).code, 130);
    const json = jsonOf(await dpmesh(['resume', out, '--bind', address, ...saves, '--json'], { grace: 1 }));
    assert.equal(json.epochs, 60);
    const { code, stderr } = await helper.ended;
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/joined as/g)?.length, 2, stderr);
    assert.deepEqual(resultHashes(out), await undisturbedHashes(easy.data, plain, ...flags));
  });

  test('concurrent keygen: every generated key is on the list', async () => {
    const keys = await keygen();
    const made = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => dpmesh(['keygen', keys, '--workers', name])),
    );
    const listed = readFileSync(join(keys, 'allowed'), 'utf8').match(/^[abcd] /gm)?.length;
    assert.equal(listed, made.filter(({ code }) => code === 0).length);
    for (const { code, stderr } of made)
      if (code !== 0) assert.match(stderr, /in use by another dpmesh keygen/);
  });

  test('SIGHUP is handled before the coordinator listens, and repeatedly', async () => {
    const keys = await keygen();
    await keygen(keys, '--workers', 'a,b');
    const list = join(keys, 'allowed');
    const before = readFileSync(list, 'utf8').split('\n');
    const { running } = await startCoordinator(easy.data, join(folder, 'hup'), '--keys', keys, '--no-http');
    const hup = (without: number) => {
      writeFileSync(`${list}.new`, before.slice(0, before.length - without).join('\n'));
      renameSync(`${list}.new`, list);
      running.kill('SIGHUP');
    };
    for (const without of [1, 2, 3, 1, 2, 3]) {
      hup(without);
      await sleep(without === 1 ? 3 : 200);
    }
    rmSync(list);
    symlinkSync(list, list);
    running.kill('SIGHUP');
    await until('a list that is a loop', () => /kept the old list of keys/.test(running.stderr()), running);
    running.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    assert.equal(code, 130, stderr);
  });
});
