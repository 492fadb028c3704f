import type { Flags, FlagValues } from './flag.ts';

export const command = 'keygen <folder>';
export const describe = 'make a folder of keys for a coordinator and its workers, or add workers to it';
export const builder = {
  workers: {
    type: 'string',
    default: 'worker',
    requiresArg: true,
    describe: 'names of workers, with commas between; more can be added later',
  },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
} as const satisfies Flags;

type Args = FlagValues<typeof builder> & { folder: string | number };

/** Writes the keys and says which file goes where; secrets are never printed. */
export async function handler({ folder, workers, json }: Args): Promise<void> {
  const { makeKeyFolder, makeKeys } = await import('../proto/key-files.ts');
  const { lockDirectory } = await import('../coordinator/storage/lock.ts');
  const names = workers.split(',').map((name) => name.trim());
  makeKeyFolder(String(folder), names);
  // Two at a time would lose each other's lines of the list.
  const release = await lockDirectory(String(folder), 'dpmesh keygen');
  const made = makeKeys(String(folder), names);
  release();
  if (json) return void console.log(JSON.stringify(made));
  console.log(`${made.server.file}: the coordinator's ${made.server.made ? 'new key' : 'key, as it was'}`);
  for (const { name, file } of made.workers) console.log(`${file}: copy it to ${name}, over a safe way`);
  console.log(`${made.allowed}: who may join`);
  console.log(`start with: dpmesh coordinator --keys ${folder} …; dpmesh worker --key FILE …`);
}
