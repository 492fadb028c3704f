import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { camelCase } from '../../base/text.ts';
import { bindFlags, runFlags } from '../../cli/run-flags.ts';
import { localWorkerFlags } from '../../cli/worker-flags.ts';
import { options, type RunConfig } from '../../coordinator/config.ts';
import { type ModelOptions, RUN_OPTIONS } from '../../library/options.ts';

// Checked by the compiler: what a run has may be given again, and every option of a run is a public one.
const given = (config: RunConfig): Required<ModelOptions> => config;
const named = (name: Exclude<keyof RunConfig, 'data' | 'labels'>): keyof ModelOptions => name;
void [given, named];

const source = readFileSync(new URL('../../library/options.ts', import.meta.url), 'utf8');
/** The default in the doc comment of an option. */
const documented = (name: string) =>
  new RegExp(`@defaultValue ([^\n]*)\n {3}\\*/\n {2}${name}\\?:`).exec(source)?.[1].replaceAll('`', '');

test('the default that is documented is the one that is used', () => {
  for (const [name, { fast, defaultText }] of options) {
    if (name === 'data' || name === 'labels') continue;
    assert.equal(documented(name), defaultText ?? String(fast), name);
  }
});

test('each flag of a run is an option of the library, with its default', () => {
  const flags = { ...runFlags, ...localWorkerFlags, ...bindFlags };
  // Of the terminal alone.
  const others = new Set(['json']);
  for (const [flag, about] of Object.entries(flags)) {
    const name = camelCase(flag);
    if (others.has(name)) continue;
    assert.ok((RUN_OPTIONS as string[]).includes(name), `RunOptions has no ${name}`);
    if ('default' in about && name !== 'bind')
      assert.equal(documented(name)?.split(';')[0], String(about.default), `default of ${name}`);
  }
});
