import type { Flags, FlagValues } from './flag.ts';

export const command = 'keygen <folder>';
export const describe = 'create a folder of keys for a coordinator and its workers, or add workers to it';
export const builder = {
  workers: {
    type: 'string',
    default: 'worker',
    requiresArg: true,
    describe: 'comma-separated names of workers; more can be added later',
  },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
} as const satisfies Flags;
export const examples = [
  ['keygen keys --workers alice,bob', 'keys/server.key, alice.key, bob.key, allowed'],
  ['keygen keys --workers carol', 'add a worker'],
  ["coordinator x.npy --bind 'tcp://*:5555' --keys keys", 'use them'],
] as const;

type Args = FlagValues<typeof builder> & { folder: string | number };

/** Writes the keys and prints where each file belongs, but never a secret. */
export async function handler({ folder, workers, json }: Args): Promise<void> {
  const { makeKeyFolder, makeKeys } = await import('../proto/key-files.ts');
  const { assertLocal } = await import('../data/remote/address.ts');
  const { lockDirectory } = await import('../coordinator/storage/run-lock.ts');
  const names = workers.split(',').map((name) => name.trim());
  assertLocal('the folder', String(folder));
  makeKeyFolder(String(folder), names);
  // Two processes at a time could lose lines of the list.
  const release = await lockDirectory(String(folder), 'dpmesh keygen');
  const keys = makeKeys(String(folder), names);
  release();
  if (json) return void console.log(JSON.stringify(keys));
  console.log(`${keys.server.file}: key of the coordinator${keys.server.made ? '' : ', unchanged'}`);
  for (const { name, file } of keys.workers) console.log(`${file}: copy it to ${name} over a secure channel`);
  console.log(`${keys.allowed}: list of workers that may join`);
  console.log(`start with: dpmesh coordinator --keys ${folder} …; dpmesh worker --key FILE …`);
}
