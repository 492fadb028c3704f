import { UserError } from '../../base/user-error.ts';
import type { Source } from '../source.ts';
import type { TextDialect } from '../tables/table-options.ts';

/** With the texts that describe the rows: those of a column, or of another file. UserError if there is not one for each row. */
export async function withTexts(
  source: Source,
  {
    data,
    text,
    texts,
    ...dialect
  }: { data: string; text: string | null; texts: string | null } & TextDialect,
): Promise<Source> {
  if (texts !== null) {
    const { openRowTexts } = await import('./row-texts.ts');
    const read = await openRowTexts(texts, text, data, source, texts === data ? dialect : undefined);
    return { ...source, described: { name: texts, read } };
  }
  if (text === null) return source;
  if (!source.texts)
    throw new UserError(
      `${data} is no table, and so has no column ${text} with the texts of the rows: pass these with --texts FILE`,
    );
  return { ...source, described: { name: `column ${text} of ${data}`, read: () => source.texts!(text) } };
}
