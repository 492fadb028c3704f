import { UserError } from '../base/user-error.ts';
import { assertAddress } from '../data/remote/address.ts';
import type { TableOptions } from '../data/tables/table-options.ts';
import { flagName, type Option, type ValuesOf, validated } from './option.ts';
import { OPTIONS, type OptionName, options } from './options.ts';

/** Values of a run's options that are not yet validated. */
export type OptionValues = { [Name in OptionName]?: unknown };

/** The value of every option that is a run's identity. */
export type RunConfig = ValuesOf<typeof OPTIONS>;

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
  const unfit = config.schedule === 'paper' ? 'schedule' : config.likelihood === 'graph' && 'likelihood';
  if (config.noise && unfit)
    throw new UserError(
      `${displayName('noise')} needs the density of a Gaussian mixture that labels rows, which ${displayName(unfit)} ${config[unfit]} does not have; leave one of the two out`,
    );
  const whole = (['soft', 'labelsParquet', 'text', 'texts', 'id', 'encoder'] as const).find(
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

/** Which of the options have another value than the default. */
export function changedOptions<Name extends OptionName>(config: RunConfig, names: readonly Name[]): Name[] {
  return names.filter(
    (name) => JSON.stringify(config[name]) !== JSON.stringify(defaultOf(OPTIONS[name], config.schedule)),
  );
}

const defaultOf = ({ fast, paper }: Option, schedule: unknown) =>
  schedule === 'paper' && paper !== undefined ? paper : fast;

/** How a table is read. `label`: its column of labels. */
export const tableOptions = (
  { columns, drop, id, text, texts, impute, categorical, encoding, sep, decimal }: RunConfig,
  label: string | null,
): TableOptions => ({
  ...{ columns, drop, id, label, impute, categorical, encoding, sep, decimal },
  // With a file of texts it is a column of that.
  text: texts === null ? text : null,
});
