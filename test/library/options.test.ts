import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { optionTypes, TYPES_FILE } from '../../cli/option-types.ts';
import { MODULE, optionsModule } from '../../clients/python-options.ts';
import type { ModelOptions } from '../../library/run-options.ts';
import type { RunConfig } from '../../run/config.ts';

// Checked by the compiler: a run's config is valid as options, and every option of a run is public.
const asOptions = (config: RunConfig): Required<ModelOptions> => config;
const optionName = (name: Exclude<keyof RunConfig, 'data' | 'labels'>): keyof ModelOptions => name;
void [asOptions, optionName];

test('what is made from the table of options is up to date', () => {
  const made = [
    [TYPES_FILE, optionTypes()],
    [MODULE, optionsModule()],
  ];
  for (const [path, text] of made)
    assert.ok(readFileSync(path, 'utf8') === text, `${path} is not up to date: npm run options`);
});
