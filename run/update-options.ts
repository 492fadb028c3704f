import { validated } from './config.ts';
import { above, between, type Domain, integer, nullable, seconds, text, yesOrNo } from './domains.ts';
import { flagName, type Option, of, option, type ValuesOf } from './options.ts';

/**
 * What `update` and `follow` have beside the options of every run (options.ts): flags, types of the library, what programs may pass, ranges and
 * docs are made from these tables.
 */

/** The domain, with its values in other words. */
const inWords = (domain: Domain<number>, limit: string): Domain<number> => ({ ...domain, limit });

const halfLife = option(inWords(above(0), 'a number of rows above 0'), {
  help: 'rows after which one counts half as much as a new one; clusters of old rows then fade',
  defaultText: 'none, all rows count the same',
});

export const UPDATE_OPTIONS = {
  ...of('Data', {
    text: option(text(), {
      help: 'column of a table with the texts of the new rows, for words of clusters',
      defaultText: 'that of the run',
    }),
    texts: option(nullable(text()), {
      help: 'file with the texts of the new rows: .txt (also .txt.gz) with a line for each, or a table, of which --text names the column; also an address',
      defaultText: 'none',
    }),
    halfLife,
    refitTransform: option(yesOrNo(), {
      help: 'estimate the transform anew, by the sample, and train from one cluster, as after a column is measured otherwise',
      fast: false,
    }),
  }),
  ...of('Output', {
    relabel: option(yesOrNo(), {
      help: 'label all earlier rows too, from where they were: relabelled/0.npy of the first run, 1.npy …',
      fast: false,
    }),
    inPlace: option(yesOrNo(), {
      help: 'replace the run by the new one once this is complete, instead of --out',
      fast: false,
    }),
  }),
};

export const FOLLOW_OPTIONS = {
  ...of('Data', {
    batchRows: option(inWords(integer(1), 'a whole number of rows, at least 1'), {
      help: 'rows that are enough for an update',
      fast: 10_000,
    }),
    every: option(seconds({ canBe0: true }), { help: 'seconds after which fewer are enough', fast: 60 }),
    lazy: option(inWords(between(0, 1), 'a share of the weight, above 0 and below 1, such as 0.1'), {
      help: 'train only once new rows have this share of the weight of all, such as 0.1, or are unlike those before; until then they only get labels',
      defaultText: 'each batch is trained on',
    }),
    halfLife,
  }),
  ...of('Run', {
    once: option(yesOrNo(), { help: 'take what is there, and end', fast: false }),
  }),
};

type Table = Readonly<Record<string, Option>>;

/** What these options are, by their defaults where they are not given; null without one. UserError for a value that is not accepted. */
export function valuesOf<const Of extends Table>(table: Of, given: object): Values<Of> {
  return Object.fromEntries(
    Object.entries(table).map(([name, own]) => {
      const value = (given as Record<string, unknown>)[name];
      if (value === undefined) return [name, own.fast ?? null];
      return [name, value === null ? null : validated(own, value, flagName(name))];
    }),
  ) as Values<Of>;
}

type Values<Of extends Table> = {
  [Name in keyof Of]: ValuesOf<Of>[Name] | (Of[Name] extends { fast: unknown } ? never : null);
};
