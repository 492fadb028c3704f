import { isNumbered } from './csv-rows.ts';

/** Names that tell columns apart; null where there is no header, or where it only numbers them. */
export const tellingNames = (names: readonly string[] | undefined): readonly string[] | null =>
  names === undefined || isNumbered(names) ? null : names;
