import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { OutOfDeviceMemory } from '../../worker/compute/backends/backend.ts';
import { wasmKernels } from '../../worker/compute/backends/wasm.ts';
import { OUT_OF_DEVICE_MEMORY, USER_ERROR } from '../../worker/exit-codes.ts';
import { exitCodeOf, localTrouble } from '../../worker/trouble.ts';

const systemError = (code: string, syscall?: string) =>
  Object.assign(new Error(`${code}: no`), { code, syscall });

test('memory and failed system calls are the machine’s own trouble, other errors are not', () => {
  const noMemory = localTrouble(new RangeError('Array buffer allocation failed'));
  assert.match(noMemory!.message, /^this machine is out of memory: Array buffer allocation failed; /);
  for (const error of [
    new RangeError('WebAssembly.Memory.grow(): Maximum memory size exceeded'),
    systemError('ENOMEM'),
    systemError('EIO', 'read'),
    systemError('EMFILE', 'open'),
    systemError('EACCES', 'open'),
  ])
    assert.ok(localTrouble(error) instanceof UserError, error.message);
  for (const error of [
    new RangeError('too far'),
    new TypeError('x is not a function'),
    new UserError('rows.npy is truncated'),
    systemError('ERR_INVALID_ARG_TYPE'),
    'text',
    undefined,
  ])
    assert.equal(localTrouble(error), null);
});

test('a tensor beyond what WebAssembly can address is refused, as no memory of this machine', async () => {
  const { memory } = await wasmKernels();
  for (const numbers of [2 ** 30, 2 ** 30 + 1, 2 ** 40])
    assert.throws(
      () => memory.allocate(numbers),
      (error) => localTrouble(error) !== null,
    );
});

test('a worker whose machine had trouble may be started again, one whose device is full may not', () => {
  assert.equal(exitCodeOf(localTrouble(systemError('EIO', 'read'))), 1);
  assert.equal(exitCodeOf(localTrouble(new OutOfDeviceMemory('GPU', 7))), OUT_OF_DEVICE_MEMORY);
  assert.equal(exitCodeOf(new UserError('no')), USER_ERROR);
});
