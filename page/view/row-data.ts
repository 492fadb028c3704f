import { fileVersion } from '../../data/cache.ts';
import type { FieldValues, RowFields } from '../../data/fields.ts';
import { openSource, tableFileAt } from '../../data/open.ts';
import { isRemote } from '../../data/remote/address.ts';
import { openRowFields } from '../../data/row-fields.ts';
import type { Source } from '../../data/source.ts';
import { type KeptTexts, keepTexts } from '../../data/texts/kept-texts.ts';
import { withTexts } from '../../data/texts/with-texts.ts';
import { foreignTo, newestCheckpoint } from '../../run/checkpoints.ts';
import type { RunFile } from '../../run/run-file.ts';
import { shownProblem } from '../../run/shown-files.ts';
import { howRead, openUnchanged } from '../report/rows.ts';
import type { ViewedRun } from './app.ts';
import type { RowData } from './map-rows.ts';
import { once } from './once.ts';

/** What the data of a finished run say of its rows, each part of which is opened when it is first asked for. */
export function rowData({ path, run }: ViewedRun): RowData {
  const { config, data } = run;
  const options = howRead(path, run).table!;
  const source = once(async (): Promise<Source | null> => {
    const checkpoint = data.codes
      ? null
      : newestCheckpoint(path, foreignTo(run, config), () => {}, { mayBeOld: true })?.checkpoint;
    const raw = { ...run, data: { ...data, codes: undefined } };
    const opened = await openUnchanged(path, { run: raw, checkpoint: checkpoint ?? null }, openSource);
    // Without its texts, which are elsewhere, a row still has its columns.
    return opened && withTexts(opened, config).catch(() => opened);
  });
  const problem = async () => {
    const found = await shownProblem(run, ['data', 'texts']);
    return found && `${found}: texts and columns of its rows are not shown, as they may be those of others`;
  };
  const openedFields = once(async (): Promise<RowFields | null> => {
    const rows = await source();
    return rows && openRowFields(rows, config.data, options);
  });
  const fields = async () => ((await problem()) === null ? openedFields() : null);
  const textFields = once(async () => {
    const columns = (await openedFields())?.fields ?? [];
    return [...columns.keys()].filter((column) => columns[column].kind === 'text');
  });
  const haveTexts = async () =>
    (await problem()) === null && (Boolean((await source())?.described) || (await textFields()).length > 0);
  const openedTexts = once(async (): Promise<KeptTexts | null> => {
    const rows = await source();
    if (!rows || !(await haveTexts())) return null;
    const { described } = rows;
    const from = (described && config.texts) || config.data;
    const file = isRemote(from) ? null : await tableFileAt(from);
    const versionOf = isRemote(from) ? () => remoteVersionOf(run, from) : (file?.version ?? fileVersion);
    // Which rows of a file of texts are left out depends on the data.
    const kind = JSON.stringify([described ? config.text : null, from, options, data.fingerprint]);
    const write = async (each: (slices: AsyncGenerator<string[]>) => Promise<void>) =>
      described
        ? each(described.read())
        : (await openedFields())!.read(await textFields(), (slices) => each(joined(slices())));
    return keepTexts(from, kind, data.rows, write, versionOf);
  });
  // Also where they have changed since they were opened.
  const texts = async () => ((await problem()) === null ? openedTexts() : null);
  return { source, fields, haveTexts, texts, problem };
}

/**
 * Differs where the texts at an address may have changed since another run read them: the fingerprint of the rows is of the numbers alone. A run of
 * an earlier version does not say what it was shown, so that it shares its texts with no other.
 */
export function remoteVersionOf(
  { id, config, data }: Pick<RunFile, 'id' | 'config' | 'data'>,
  from: string,
): string {
  const shown = data.shown?.[from === config.texts ? 'texts' : 'data'];
  return shown?.sha256 ?? `${id} ${data.fingerprint}`;
}

/** What rows have in all columns of text, as one text. */
async function* joined(slices: AsyncGenerator<FieldValues[]>): AsyncGenerator<string[]> {
  for await (const columns of slices)
    yield Array.from({ length: columns[0].length }, (_, i) =>
      columns
        .map((column) => column[i] ?? '')
        .filter(Boolean)
        .join(' · '),
    );
}
