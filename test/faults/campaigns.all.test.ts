// A campaign of `npm run bench:faults` whose short form is a test as it is. That of `soak` is none: half a minute tells a leak from garbage only where
// nothing else runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { CampaignResult } from './campaign.ts';

test('netns', (t) => {
  const args = ['--import', 'tsx', 'test/faults/netns.ts', '--short'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 });
  const { ok, measured } = JSON.parse(stdout) as CampaignResult;
  t.diagnostic(measured);
  if (ok === null) t.skip(measured);
  else assert.ok(ok, `${measured}\n${stderr}`);
});
