import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DISK_TROUBLE, UserError } from '../../../base/user-error.ts';
import { aboutData } from '../../../coordinator/fit/reading/reading.ts';
import type { Dispatcher } from '../../../coordinator/rounds/dispatcher.ts';

test('an error of workers that read rows names the data, and keeps its exit code', async () => {
  const cases: [UserError, object][] = [
    [new UserError('row 7 is not a number'), { message: 'x.npy: row 7 is not a number', exitCode: 2 }],
    [new UserError('x.npy is damaged'), { message: 'x.npy is damaged', exitCode: 2 }],
    [
      new UserError('no space left on the disk', { exitCode: DISK_TROUBLE }),
      { message: 'x.npy: no space left on the disk', exitCode: DISK_TROUBLE },
    ],
  ];
  for (const [error, expected] of cases) {
    const failing = { round: () => Promise.reject(error) } as unknown as Dispatcher;
    await assert.rejects(aboutData(failing, 'x.npy').round({} as never), expected);
  }
});
