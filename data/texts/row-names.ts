import type { Source } from '../source.ts';
import { inSlices, type RowTexts, rowTexts } from './texts.ts';

export type NamedRows = Pick<Source, 'images' | 'texts' | 'id'>;

/** What names the rows: a column of a table, those of the cells of an .h5ad, or images; null: their numbers. */
export function namesOfRows(
  { images, texts, id: usual = '' }: NamedRows,
  { data, id }: { data: string; id: string | null },
): RowTexts | null {
  if (images) return rowTexts(inSlices(images), data);
  const column = id ?? usual;
  return column && texts ? rowTexts(texts(column), `column ${column} of ${data}`) : null;
}
