import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import {
  type EncoderCheckpoint,
  encoderFile,
  readEncoder,
  saveEncoder,
} from '../../../coordinator/storage/encoder-checkpoint.ts';
import { blockCount, layoutOf } from '../../../model/layout.ts';
import { initialAutoencoder } from '../../../model/nets/autoencoder.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';

const WIDTHS = [5, 4, 2, 4, 5];
const layout = layoutOf(300, 5, 3, 7n);
const net = initialAutoencoder(3n, WIDTHS);
/** As decoded: names that are given by others have no prototype. */
const tensors = (named: Tensors): Tensors => Object.assign(Object.create(null), named);
const checkpoint: EncoderCheckpoint = {
  ...{ layout, variance: 4.5 },
  hashes: Uint8Array.from({ length: 16 * blockCount(layout) }, (_, i) => i),
  input: { factor: Float32Array.of(1, 2, 3, 4, 0), shift: Float32Array.of(5, 6, 7, 8, 0) },
  state: {
    ...net,
    first: net.params.map(Math.sin),
    second: net.params.map(Math.abs),
    steps: 70,
    epoch: 4,
    loss: 0.25,
  },
  ...{ alternation: 2, codes: 'ab' },
  clusters: {
    transform: tensors({ bias: nd(Float32Array.of(1, 2)), shape: nd(Int32Array.of(0, 2)) }),
    net: tensors({ params: nd(Float32Array.of(3, 4, 5), 3) }),
    centres: Float32Array.of(1, 2, Number.NaN, Number.NaN),
    variance: 1.5,
    labels: Int32Array.of(0, 0, 1),
  },
  brought: [
    { k: 3, agreement: null },
    { k: 2, agreement: 0.75 },
  ],
  spent: { seconds: 12.5, rounds: 40, rowsRead: 900, workers: 2 },
};

describe('the checkpoint of an encoder', () => {
  let run: string;
  const warnings: string[] = [];
  const read = (widths = WIDTHS, rows = layout) =>
    readEncoder(run, widths, rows, (message) => warnings.push(message));

  before(() => {
    run = mkdtempSync(join(tmpdir(), 'dpmesh-encoder-'));
    mkdirSync(join(run, 'checkpoints'));
  });
  after(() => rmSync(run, { recursive: true }));

  test('is read back bit for bit, and replaced by the next one', async () => {
    assert.equal(read(), null);
    await saveEncoder(run, checkpoint, () => {});
    assert.deepEqual(read(), checkpoint);
    const next = { ...checkpoint, state: { ...checkpoint.state, epoch: 5, loss: null } };
    await saveEncoder(run, next, () => {});
    assert.deepEqual(read(), next);
  });

  test('of other rows or widths is refused', () => {
    const isRefused = (error: unknown) =>
      error instanceof UserError && /of other rows or other options/.test(error.message);
    assert.throws(() => read([5, 3, 2, 3, 5]), isRefused);
    assert.throws(() => read(WIDTHS, layoutOf(301, 5, 3, 7n)), isRefused);
  });

  test('is not used where it is damaged', async () => {
    await saveEncoder(run, checkpoint, () => {});
    const bytes = readFileSync(encoderFile(run));
    for (let at = 0; at < bytes.length; at += 37) {
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1;
      writeFileSync(encoderFile(run), damaged);
      warnings.length = 0;
      assert.equal(read(), null, `byte ${at}`);
      assert.match(warnings.join(), /encoder\.ckpt cannot be used: .*; the encoder is trained again/);
    }
    writeFileSync(encoderFile(run), bytes.subarray(0, 100));
    assert.equal(read(), null);
  });

  test('with weights that are not finite is not used', async () => {
    const params = checkpoint.state.params.map((value, i) => (i === 3 ? NaN : value));
    await saveEncoder(run, { ...checkpoint, state: { ...checkpoint.state, params } }, () => {});
    assert.equal(read(), null);
  });

  test('is not written where the run is elsewhere by now', async () => {
    const elsewhere = () => {
      throw new Error('elsewhere');
    };
    await assert.rejects(saveEncoder(run, checkpoint, elsewhere), /elsewhere/);
  });
});
