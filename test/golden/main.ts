// npm run golden: see golden.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALL, hashAfter, keepHashes, knownHashes } from './golden.ts';

const args = process.argv.slice(2);
const isWritten = args.includes('--write');
const asked = args.filter((arg) => !arg.startsWith('--'));
const folder = mkdtempSync(join(tmpdir(), 'dpmesh-golden-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
process.env.DPMESH_CACHE = join(folder, 'cache');
let different = 0;
for (const name of Object.keys(ALL).filter((name) => !asked.length || asked.includes(name))) {
  const begun = performance.now();
  const found = await hashAfter(name, folder).catch((error: Error) => error);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  if (!found || found instanceof Error) {
    console.log(`${name}: not run: ${found?.message.trim().split('\n').at(-1) ?? 'its data are not here'}`);
    continue;
  }
  const { identity, hash } = found;
  const known = knownHashes();
  const before = known[identity]?.[name];
  if (isWritten) keepHashes({ ...known, [identity]: { ...known[identity], [name]: hash } });
  else if (before && before !== hash) different++;
  console.log(
    `${name}: ${before === hash ? 'as before' : before ? 'DIFFERENT' : 'new'} (${identity}, ${seconds} s)`,
  );
}
process.exitCode = different ? 1 : 0;
