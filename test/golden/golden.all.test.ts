import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scratch } from '../e2e/support.ts';
import { hashesOf, knownHashes, RECIPES } from './golden.ts';

/** The labels of whole runs have the bytes that they had; `npm run golden` also looks at those that take longer. */

const home = process.env.XDG_DATA_HOME;
const folder = scratch();
// The installed backends are tested too.
if (home === undefined) delete process.env.XDG_DATA_HOME;
else process.env.XDG_DATA_HOME = home;
const known = knownHashes();

for (const [name, { quick, backend = 'wasm' }] of Object.entries(RECIPES))
  if (quick)
    test(name, async (context) => {
      const found = await hashesOf(name, folder).catch((error: Error) => error);
      if (found instanceof Error && /not set up/.test(found.message))
        return context.skip(`${backend} is not set up`);
      if (found instanceof Error) throw found;
      if (!found) return context.skip('its data are not here');
      const before = known[found.identity]?.[name];
      if (!before) return context.skip(`no hashes are known for ${found.identity}`);
      assert.deepEqual(found.hashes, before);
    });
