import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { camelCase } from '../../base/text.ts';
import { bindFlags, runFlags } from '../../cli/run-flags.ts';
import { localWorkerFlags } from '../../cli/worker-flags.ts';
import { options, type RunConfig } from '../../coordinator/config.ts';
import { type ModelOptions, RUN_OPTIONS } from '../../library/options.ts';

// Checked by the compiler: a run's config is valid as options, and every option of a run is public.
const asOptions = (config: RunConfig): Required<ModelOptions> => config;
const optionName = (name: Exclude<keyof RunConfig, 'data' | 'labels'>): keyof ModelOptions => name;
void [asOptions, optionName];

const source = readFileSync(new URL('../../library/options.ts', import.meta.url), 'utf8');
/** The default in the doc comment of an option. */
const documentedDefault = (name: string) =>
  new RegExp(`@defaultValue ([^\n]*)\n {3}\\*/\n {2}${name}\\?:`).exec(source)?.[1].replaceAll('`', '');

test('documented defaults are the actual defaults', () => {
  for (const [name, { fast, defaultText }] of options) {
    if (name === 'data' || name === 'labels') continue;
    assert.equal(documentedDefault(name), defaultText ?? String(fast), name);
  }
});

test('each flag of a run is an option of the library, with the same default', () => {
  const flags = { ...runFlags, ...localWorkerFlags, ...bindFlags };
  // For the terminal only.
  const terminalFlags = new Set(['json', 'events']);
  for (const [flag, definition] of Object.entries(flags)) {
    const name = camelCase(flag);
    if (terminalFlags.has(name)) continue;
    assert.ok((RUN_OPTIONS as string[]).includes(name), `RunOptions has no ${name}`);
    if ('default' in definition && name !== 'bind')
      assert.equal(documentedDefault(name)?.split(';')[0], String(definition.default), `default of ${name}`);
  }
});
