// Campaigns of `npm run bench:faults` whose short form is a test as it is.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { CampaignResult } from './campaign.ts';

for (const name of ['netns', 'soak'])
  test(name, (t) => {
    const args = ['--import', 'tsx', `test/faults/${name}.ts`, '--short'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 });
    const { ok, measured } = JSON.parse(stdout) as CampaignResult;
    t.diagnostic(measured);
    if (ok === null) t.skip(measured);
    else assert.ok(ok, `${measured}\n${stderr}`);
  });
