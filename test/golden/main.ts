// npm run golden: see golden.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashesOf, keepHashes, knownHashes, RECIPES } from './golden.ts';

const args = process.argv.slice(2);
const isWritten = args.includes('--write');
const asked = args.filter((arg) => !arg.startsWith('--'));
const folder = mkdtempSync(join(tmpdir(), 'dpmesh-golden-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
process.env.DPMESH_CACHE = join(folder, 'cache');
let different = 0;
for (const name of Object.keys(RECIPES).filter((name) => !asked.length || asked.includes(name))) {
  const begun = performance.now();
  const found = await hashesOf(name, folder).catch((error: Error) => error);
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  if (!found || found instanceof Error) {
    console.log(`${name}: not run: ${found?.message.trim().split('\n').at(-1) ?? 'its data are not here'}`);
    continue;
  }
  const { identity, hashes } = found;
  const known = knownHashes();
  const before = known[identity]?.[name];
  const isSame = before && before.labels === hashes.labels && before.predicted === hashes.predicted;
  if (isWritten) keepHashes({ ...known, [identity]: { ...known[identity], [name]: hashes } });
  else if (before && !isSame) different++;
  console.log(`${name}: ${isSame ? 'as before' : before ? 'DIFFERENT' : 'new'} (${identity}, ${seconds} s)`);
}
process.exitCode = different ? 1 : 0;
