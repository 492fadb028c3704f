import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../../base/user-error.ts';
import {
  type Checkpoint,
  DamagedCheckpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  NewerCheckpoint,
} from '../../../coordinator/storage/checkpoint.ts';
import {
  checkpointFolder,
  checkpointName,
  createCheckpoints,
  newestCheckpoint,
  saveCheckpoint,
} from '../../../coordinator/storage/checkpoints.ts';
import { clusteringNet, type Net, subNets } from '../../../model/net.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { Event } from '../../../view/events.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-checkpoint-'));
after(() => rmSync(home, { recursive: true }));
let folders = 0;
const fresh = () => join(home, String(++folders));

/** Any bits at all, NaN and −0 among them. */
const float64 = (length: number) =>
  fc.array(fc.double(), { minLength: length, maxLength: length }).map((values) => Float64Array.from(values));

const anyCheckpoint: fc.Arbitrary<Checkpoint> = fc
  .record({
    k: fc.integer({ min: 1, max: 4 }),
    d: fc.integer({ min: 1, max: 3 }),
    covariance: fc.constantFrom('full' as const, 'diag' as const),
    shards: fc.integer({ min: 1, max: 3 }),
    bits: float64(400),
    epoch: fc.nat(1_000_000),
    loss: fc.option(fc.double()),
    ended: fc.constantFrom(null, 'settled'),
  })
  .map(({ k, d, covariance, shards, bits, epoch, loss, ended }) => {
    let at = 0;
    const f64 = (length: number) => bits.slice(at, (at += length));
    const rows = 40;
    const net = (made: Net): Net => ({
      ...made,
      first: made.params.map((values, i) => values.map((_, j) => bits[(i + j) % 400])),
      second: made.params.map((values, i) => values.map((_, j) => bits[(7 * i + j) % 400])),
      steps: epoch,
    });
    return {
      config: { seed: '18446744073709551615', hidden: [5], alpha: 0.1, sample: null, soft: false },
      identity: 'wasm/4.22.0',
      layout: { rows, dim: d, shards, blockRows: 16, seed: '3' },
      found: {
        sampleRows: Array.from({ length: shards }, (_, i) => 10 * i),
        hashes: Uint8Array.from({ length: 48 }, (_, i) => 5 * i),
        moments: { rows, mean: f64(d), covariance: f64(d * d), min: f64(d), max: f64(d) },
      },
      state: {
        epoch,
        frozen: 2,
        steps: [{ kind: 'split' as const, changed: 1, k }],
        mixture: {
          k,
          d,
          covariance,
          weights: f64(k),
          means: Array.from({ length: k }, () => f64(d)),
          covariances: Array.from({ length: k }, () => f64(covariance === 'full' ? d * d : d)),
        },
        net: net(clusteringNet(1n, d, [5], k)),
        subs: net(subNets(1n, d, k)),
        parts: Array.from({ length: k }, () => [0, 1].map(() => f64(statisticsLength(d, covariance)))),
      },
      loss,
      ended,
      spent: { seconds: 1.5, rounds: 2 ** 33, rowsRead: 5e9, workers: 4 },
    };
  });

const [small] = fc.sample(anyCheckpoint, { numRuns: 1, seed: 1 });
const file = (checkpoint: Checkpoint) => Buffer.concat(encodeCheckpoint(checkpoint));
const withEpoch = (epoch: number, checkpoint = small): Checkpoint => ({
  ...checkpoint,
  state: { ...checkpoint.state, epoch },
});

describe('a checkpoint', () => {
  test('comes back bit by bit, wherever its bytes lie', () => {
    fc.assert(
      fc.property(anyCheckpoint, fc.nat(7), (checkpoint, offset) => {
        const bytes = file(checkpoint);
        const moved = Buffer.alloc(bytes.length + offset).subarray(offset);
        bytes.copy(moved);
        const found = decodeCheckpoint(moved);
        // deepStrictEqual tells NaN and −0 from others; the bytes of the copy tell the rest.
        assert.deepEqual(found, checkpoint);
        assert.ok(file(found).equals(bytes));
      }),
      { numRuns: 50 },
    );
  });

  test('that could not be read again is not written, and those before it stay', async () => {
    const folder = join(mkdtempSync(join(home, 'unreadable-')), 'checkpoints');
    const spent = (over: object) => ({ ...withEpoch(2), spent: { ...small.spent, ...over } });
    await saveCheckpoint(folder, withEpoch(1));
    for (const bad of [{ rowsRead: 2 ** 53 }, { rounds: -1 }, { seconds: Number.POSITIVE_INFINITY }])
      await assert.rejects(saveCheckpoint(folder, spent(bad)), /spent/, JSON.stringify(bad));
    assert.deepEqual(readdirSync(folder), ['epoch-000001.ckpt']);
  });

  test('with any one byte changed is damaged', () => {
    const bytes = file(small);
    for (let i = 0; i < bytes.length; i++) {
      const bit = 1 << (i % 8);
      bytes[i] ^= bit;
      assert.throws(() => decodeCheckpoint(bytes), DamagedCheckpoint, `byte ${i}`);
      bytes[i] ^= bit;
    }
    assert.equal(decodeCheckpoint(bytes).state.epoch, small.state.epoch);
  });

  test('cut at any length, or longer than it was, is damaged', () => {
    const bytes = file(small);
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => decodeCheckpoint(bytes.subarray(0, length)), DamagedCheckpoint, `${length} bytes`);
    assert.throws(() => decodeCheckpoint(Buffer.concat([bytes, Buffer.of(0)])), DamagedCheckpoint);
  });

  test('of another format is told from a damaged one', async () => {
    const { createHash } = await import('node:crypto');
    const bytes = file(small);
    bytes.writeUInt32LE(2, 8);
    createHash('sha256')
      .update(bytes.subarray(0, -32))
      .digest()
      .copy(bytes, bytes.length - 32);
    assert.throws(() => decodeCheckpoint(bytes), NewerCheckpoint);
  });
});

describe('checkpoint files', () => {
  const own = () => null;

  test('the last three are kept, and none of an epoch that the run did not reach', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, checkpointName(9)), 'of a course that was left');
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    for (const epoch of [1, 2, 3, 4, 5]) await saveCheckpoint(folder, withEpoch(epoch));
    assert.deepEqual(readdirSync(folder).sort(), [...[3, 4, 5].map(checkpointName), 'notes.txt']);
  });

  test('the newest that is whole and the run’s own is taken, the others are named', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    for (const epoch of [1, 2, 3]) await saveCheckpoint(folder, withEpoch(epoch));
    const damage = (epoch: number) => {
      const path = join(folder, checkpointName(epoch));
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    };
    const said: string[] = [];
    const newest = (foreign: (checkpoint: Checkpoint) => string | null = own) =>
      newestCheckpoint(run, foreign, (message) => said.push(message))?.checkpoint.state.epoch;
    assert.deepEqual([newest(), said], [3, []]);
    damage(3);
    assert.equal(newest(), 2);
    assert.match(said[0], /epoch-000003\.ckpt cannot be used: its checksum/);
    assert.equal(
      newest(({ state }) => (state.epoch === 2 ? 'it is of another run' : null)),
      1,
    );
    damage(2);
    damage(1);
    assert.equal(newest(), undefined);
    assert.match(said.at(-2)!, /the one before it is taken/);
    assert.match(said.at(-1)!, /epoch-000001\.ckpt cannot be used: .*; there is none before it/);
    assert.equal(newestCheckpoint(fresh(), own, assert.fail), null);
  });

  test('what has the name of one and is no file is named, and in nobody’s way', async () => {
    const run = fresh();
    const folder = checkpointFolder(run);
    await saveCheckpoint(folder, withEpoch(1));
    mkdirSync(join(folder, checkpointName(8)));
    if (process.platform !== 'win32') execFileSync('mkfifo', [join(folder, checkpointName(9))]);
    const said: string[] = [];
    const found = newestCheckpoint(run, own, (message) => said.push(message));
    assert.equal(found?.checkpoint.state.epoch, 1);
    assert.match(said.at(-1)!, /epoch-000008\.ckpt is a folder/);
    await saveCheckpoint(folder, withEpoch(2));
    assert.ok(existsSync(join(folder, checkpointName(2))));
  });

  test('one of another format ends the search', async () => {
    const { createHash } = await import('node:crypto');
    const run = fresh();
    const { path } = await saveCheckpoint(checkpointFolder(run), small);
    const bytes = readFileSync(path);
    bytes.writeUInt32LE(7, 8);
    createHash('sha256')
      .update(bytes.subarray(0, -32))
      .digest()
      .copy(bytes, bytes.length - 32);
    writeFileSync(path, bytes);
    assert.throws(() => newestCheckpoint(run, own, assert.fail), UserError);
  });
});

describe('when checkpoints are written', () => {
  function place(every: number, run = fresh()) {
    let time = 0;
    const events: Event[] = [];
    const warnings: string[] = [];
    const checkpoints = createCheckpoints({
      run,
      every,
      emit: (event) => events.push(event),
      warn: (message) => warnings.push(message),
      now: () => time,
    });
    const pass = (seconds: number) => {
      time += 1000 * seconds;
    };
    const epochs = () => events.flatMap((event) => (event.type === 'checkpoint' ? event.epoch : []));
    return { run, checkpoints, events, warnings, pass, epochs };
  }

  test('when due or asked for; of several that wait, the newest', async () => {
    const { checkpoints, pass, epochs } = place(10);
    checkpoints.offer(withEpoch(1), false);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1], 'flush writes what was not due');
    checkpoints.offer(withEpoch(2), true);
    checkpoints.offer(withEpoch(3), true);
    checkpoints.offer(withEpoch(4), true);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4]);
    pass(9.9);
    checkpoints.offer(withEpoch(5), false);
    pass(0.2);
    checkpoints.offer(withEpoch(6), false);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4, 6]);
    assert.equal(checkpoints.saved()?.checkpoint.state.epoch, 6);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [1, 2, 4, 6], 'nothing is written twice');
  });

  test('one that the disk refuses is an event each time and a warning once; the next goes through', async () => {
    const run = fresh();
    writeFileSync(run, 'a file where the folder should be');
    const { checkpoints, events, warnings, epochs } = place(0, run);
    for (const epoch of [1, 2]) {
      checkpoints.offer(withEpoch(epoch), true);
      await checkpoints.flush();
    }
    assert.ok(events.length >= 2 && events.every(({ type }) => type === 'checkpoint-failed'));
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.equal(checkpoints.saved(), null);
    const rescued = await checkpoints.rescue();
    assert.equal(decodeCheckpoint(readFileSync(rescued!)).state.epoch, 2);
    rmSync(rescued!);
    rmSync(run);
    checkpoints.offer(withEpoch(3), true);
    await checkpoints.flush();
    assert.deepEqual(epochs(), [3]);
  });
});
