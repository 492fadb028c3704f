import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { assertAddress } from '../data/remote/address.ts';
import type { TableOptions } from '../data/tables/table-options.ts';
import { type Domain, isWord, limitFor } from './domains.ts';
import {
  flagName,
  OPTIONS,
  type Option,
  type OptionName,
  options,
  type RUN_OPTIONS,
  type RunOptionName,
  runOptions,
  type ValuesOf,
} from './options.ts';

/** Values of a run's options that are not yet validated. */
export type OptionValues = { [Name in OptionName]?: unknown };

/** The value of every option that is a run's identity. */
export type RunConfig = ValuesOf<typeof OPTIONS>;

type RunValues = ValuesOf<typeof RUN_OPTIONS>;
/** The value of every option of how a run is computed, but for those without a default. */
export type RunSettings = {
  [Name in RunOptionName]:
    | RunValues[Name]
    | ((typeof RUN_OPTIONS)[Name] extends { fast: unknown } ? never : undefined);
};

/**
 * Validates `values` and adds the schedule's defaults for options that are missing or null. UserError for an invalid value.
 * `displayName`: what the message calls an option.
 */
export function resolveConfig(
  values: OptionValues,
  displayName: (name: OptionName) => string = flagName,
): RunConfig {
  const config: OptionValues = {};
  for (const [name, option] of options)
    config[name] =
      values[name] == null
        ? defaultOf(option, values.schedule)
        : validated(option, values[name], displayName(name));
  if (!config.data)
    throw new UserError(
      `${displayName('data')} is missing: the rows to cluster, a file of arrays or a table, or a folder of images`,
    );
  assertAddress(String(config.data));
  assertAddress(config.labels as string | null);
  assertAddress(config.texts as string | null);
  if (config.clusters !== null && config.resolution !== null)
    throw new UserError(
      `${displayName('clusters')} and ${displayName('resolution')} exclude each other; leave one out`,
    );
  const whole = (['soft', 'outliers', 'labelsParquet', 'text', 'texts', 'id', 'encoder'] as const).find(
    (name) => config.labelsOut === 'shards' && config[name] !== defaultOf(OPTIONS[name], config.schedule),
  );
  if (whole)
    throw new UserError(
      `${displayName('labelsOut')} shards and ${displayName(whole)} exclude each other; leave one out`,
    );
  config.priorScale ??= { learned: 1, 'data-cov': 0.3, isotropic: 0.005, 'data-std': 0.005 }[
    config.priorScaleChoice as RunConfig['priorScaleChoice']
  ];
  return config as RunConfig;
}

/** Validates options of how a run is computed, and adds the defaults of those that are left out. UserError for an invalid value. */
export function resolveRunOptions(values: { [Name in RunOptionName]?: unknown }): RunSettings {
  const settings: Record<string, unknown> = {};
  for (const [name, option] of runOptions)
    settings[name] =
      values[name] === undefined ? option.fast : validated(option, values[name], flagName(name));
  return settings as RunSettings;
}

/** Options of earlier versions, with the values at which they did what this version does: by schedule, where that decided. */
const REMOVED: Readonly<Record<string, unknown>> = {
  encoderWeightDecay: 0,
  weightSmoothing: 0,
  priorNu: null,
  priorKappa: 1e-4,
  clusterLoss: 'kl',
  subLoss: 'isotropic',
  encoderNoise: 0.5,
  alternationEpochs: 2,
};

/** The values that options of earlier versions have in the runs of this one. */
export const removedOptions = (schedule: unknown): Readonly<Record<string, unknown>> =>
  schedule === 'paper' ? { ...REMOVED, weightSmoothing: 0.1 } : REMOVED;

/** What the config of a run had that this version does not have any more, as a flag; null if nothing. */
export function removedFrom(config: Readonly<Record<string, unknown>>): string | null {
  if (config.encoder === 'neighbour') return '--encoder neighbour';
  const now = removedOptions(config.schedule);
  const name = Object.keys(now).find((name) => (config[name] ?? now[name]) !== now[name]);
  return name === undefined ? null : `${flagName(name)} ${asText(config[name])}`;
}

/** Which of the options have another value than the default. */
export function changedOptions<Name extends OptionName>(config: RunConfig, names: readonly Name[]): Name[] {
  return names.filter(
    (name) => JSON.stringify(config[name]) !== JSON.stringify(defaultOf(OPTIONS[name], config.schedule)),
  );
}

const defaultOf = ({ fast, paper }: Option, schedule: unknown) =>
  schedule === 'paper' && paper !== undefined ? paper : fast;

/** The value as a run has it. UserError, which calls the option `name`, where it accepts no such value. */
export function validated<T>(option: Domain<T>, value: unknown, name: string): T {
  const own = option.read(value);
  if (own !== undefined) return own;
  throw new UserError(`${name} ${shortened(asText(value))} must be ${limitFor(option, value)}`);
}

/** Characters of a value in a message: that of a file may be long, and have any characters. */
const MOST_SHOWN = 80;
const shortened = (text: string) =>
  oneLine(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text);

/** Lists of words as they are typed, other objects as JSON, which those of a program may not have. */
function asText(value: unknown): string {
  if (typeof value !== 'object' || (Array.isArray(value) && value.length && value.every(isWord)))
    return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return 'an object';
  }
}

/** How a table is read. `label`: its column of labels. */
export const tableOptions = (
  { columns, drop, id, text, texts, impute, categorical, encoding, sep, decimal }: RunConfig,
  label: string | null,
): TableOptions => ({
  ...{ columns, drop, id, label, impute, categorical, encoding, sep, decimal },
  // With a file of texts it is a column of that.
  text: texts === null ? text : null,
});
