import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratch } from '../e2e/support.ts';
import { hashAfter, knownHashes } from './golden.ts';

/** On other backends too, labels have the bytes that they had. Those of `wasm` are compared in test/recipes. */

const home = process.env.XDG_DATA_HOME;
const folder = scratch();
// The installed backends are tested too.
if (home === undefined) delete process.env.XDG_DATA_HOME;
else process.env.XDG_DATA_HOME = home;

for (const backend of ['cpu', 'tensorflow', 'webgpu'])
  test(backend, async (context) => {
    const own = join(folder, backend);
    mkdirSync(own);
    const found = await hashAfter('plain', own, { backend }).catch((error: Error) => error);
    if (found instanceof Error && /not set up/.test(found.message))
      return context.skip(`${backend} is not set up`);
    if (found instanceof Error) throw found;
    const before = knownHashes()[found!.identity]?.plain;
    if (!before) return context.skip(`no hashes are known for ${found!.identity}`);
    assert.equal(found!.hash, before);
  });
