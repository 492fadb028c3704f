import * as z from 'zod/mini';
import { list } from '../../base/schema.ts';
/** What people say of a table: how its text is written, which columns are clustered, and what fills missing cells. */

/** What is before the decimals of a number. */
export type Decimal = '.' | ',';

/** How a text is written, where people have said it; null: it is found out. */
export interface TextDialect {
  encoding: string | null;
  /** One character, `tab`, or `blanks` for runs of them. */
  sep: string | null;
  decimal: Decimal | null;
}

export const ANY_DIALECT: TextDialect = { encoding: null, sep: null, decimal: null };

export interface ColumnChoice {
  /** Columns to cluster by, and to leave out: names, patterns with `*`, or numbers from 1. */
  columns: readonly string[] | null;
  drop: readonly string[] | null;
  /** The columns of the rows' names, texts and classes: not clustered. */
  id: string | null;
  text: string | null;
  label: string | null;
  /** Columns of categories. */
  categorical: readonly string[] | null;
}

export const EVERY_COLUMN: ColumnChoice = {
  ...{ columns: null, drop: null, id: null, text: null, label: null, categorical: null },
};

/** What stands in the place of missing numbers: the mean or the median of their column; or their rows are dropped. */
export type Imputation = 'mean' | 'median' | 'drop';

export type Categories = Readonly<Record<string, readonly string[]>>;

/** How a table becomes rows to cluster. */
export interface TableOptions extends ColumnChoice, TextDialect {
  impute: Imputation | null;
  /** Of a trained model: rows become those that it was trained on. */
  trained?: TrainedColumns;
}

export interface TrainedColumns {
  /** What to fill each column with, and the categories of each column of them. */
  fill?: readonly (number | null)[] | null;
  categories?: Categories | null;
  /** The names of its columns; null where they had none. */
  names: readonly string[] | null;
  /** Their number. */
  width: number;
  /** The run, for messages. */
  run: string;
}

export const PLAIN_TABLE: TableOptions = { ...EVERY_COLUMN, ...ANY_DIALECT, impute: null };

const lists = list(list(z.string()));

/** A schema: a record of the library loses a column that is called `__proto__`. */
export const categoriesSchema = z.custom<Record<string, string[]>>(
  (value) => typeof value === 'object' && value !== null && lists.safeParse(Object.values(value)).success,
);

export interface DecodeOptions {
  /** Called with the number of rows that have been read, again and again. */
  onRows?: (rows: number) => void;
  /** Are columns that name rows, or are dates, left out? Not where people have named the columns. */
  asks?: boolean;
  /** What people should know of how the columns were chosen. */
  notes?: readonly string[];
  impute: Imputation | null;
  /** Of a trained model: what to fill each column with, and the categories of each column of them. */
  fill?: readonly (number | null)[] | null;
  categories?: Categories | null;
  /** That model's run, for messages. */
  run?: string;
}
