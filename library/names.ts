import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAtomicFile } from '../base/files.ts';
import { dpmeshVersion } from '../base/package.ts';
import { counted } from '../base/quantities.ts';
import { UserError } from '../base/user-error.ts';
import { LABELS } from '../data/row-parts.ts';
import { openRowTexts } from '../data/texts/row-texts.ts';
import { MOST_CHARACTERS, tidyName } from '../model/description/names.ts';
import { identityOf } from '../run/base-run.ts';
import { kindsOf } from '../run/option.ts';
import { type NamedClusters, namesFromModel } from '../run/passes/name.ts';
import { type Endpoint, endpointAt } from '../run/passes/naming.ts';
import { renameIn, rewriteNames } from '../run/passes/rename.ts';
import { droppedRows, setWords, wordsOf } from '../run/passes/words.ts';
import { READ_FILES } from '../run/read-files.ts';
import { KEPT_ROWS } from '../run/row-files.ts';
import { type RunFile, readFinishedRun } from '../run/run-file.ts';
import { readSavedTree } from '../run/saved-tree.ts';
import { shownProblem } from '../run/shown-files.ts';
import { readStream, SAMPLE } from '../run/stream-files.ts';
import { tableOfTexts } from '../tasks/terms/compute.ts';
import { AbortError } from './abort-error.ts';
import { assertOptions, fixedPaths, HOOKS } from './arguments.ts';
import { NAME, RENAME, WORDS } from './command-options.ts';
import { reportOf } from './result.ts';

/** What clusters of a finished run are called: by hand, by a language model, by the words of their texts. Then its report is drawn again. */

/** Options of `renameCluster`. */
export interface RenameOptions {
  /** The directory of a finished run. */
  run: string;
  /** The label of the cluster: its number, of an update its id. */
  cluster: number;
  /** What it is to be called: one line, at most 60 characters, which no other cluster and no join has. */
  name: string;
}

/** What `renameCluster` did. */
export interface Renamed {
  /** What the cluster was called; null if it had no name. */
  readonly before: string | null;
  /** What it is called now. */
  readonly name: string;
  /** What was left as it was and why, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Changes the name of a cluster of a finished run: in `clusters.json`, `labels.csv` and `labels.parquet`, and in the report if there is
 * one. Updates of the run keep it. A process that is killed meanwhile leaves a run that opens, and the same call makes it whole.
 *
 * @throws {UserError} (rejection) if the run is not finished or in use, has no such cluster, or if the name is empty, too long, or another's
 */
export async function renameCluster(options: RenameOptions): Promise<Renamed> {
  assertOptions('renameCluster', options, kindsOf(RENAME), ['run', 'cluster', 'name']);
  const { cluster: label, name: given } = options;
  const paths = fixedPaths();
  const run = paths.fix(options.run);
  const name = tidyName(given, Number.POSITIVE_INFINITY);
  if (name === '') throw new UserError('the name of a cluster must have a character that can be seen');
  if ([...name].length > MOST_CHARACTERS)
    throw new UserError(`the name has ${[...name].length} characters, more than ${MOST_CHARACTERS}`);
  return paths.naming(async () => {
    const before = await rewriteNames(run, (saved) => renameIn(saved, run, label, name));
    return { before, name, notes: (await redrawn(run)).map(paths.asGiven) };
  });
}

/** Options of `nameClusters`. */
export interface NameOptions {
  /** The directory of a finished run. */
  run: string;
  /** The base address of an endpoint like OpenAI's, such as `http://localhost:11434/v1` (Ollama); its key is `OPENAI_API_KEY` of the environment. */
  nameWith: string;
  /** The model that is asked. */
  nameModel: string;
  /** Called with texts on how far it is. */
  status?: (text: string) => void;
  /** Ends it early: names so far are kept. */
  signal?: AbortSignal;
}

/**
 * Asks a language model for the names of the clusters of a finished run, and of the joins of its tree. It gets their keywords, typical texts,
 * columns that set them apart, and the names of those beside them; what is sent is kept in `names.jsonl` of the run. Clusters
 * without a usable answer keep their names.
 *
 * @throws {UserError} (rejection) if the run is not finished or in use, or the address is none
 */
export async function nameClusters(options: NameOptions): Promise<NamedClusters> {
  const kinds = { ...kindsOf(NAME), status: HOOKS.status, signal: HOOKS.signal };
  assertOptions('nameClusters', options, kinds, ['run', 'nameWith', 'nameModel']);
  const { nameWith, nameModel, status, signal } = options;
  const endpoint = endpointOf(nameWith, nameModel);
  const paths = fixedPaths();
  const run = paths.fix(options.run);
  return paths.naming(() => namedByModel(run, endpoint, { status, signal }));
}

/** Such as `12 of 19 names by the model, 14 questions (2 known from before), 3,210 tokens`. */
export function namesText({ named, of, asked, cached, tokens }: NamedClusters): string {
  const known = cached ? ` (${cached} known from before)` : '';
  return `${named} of ${of} names by the model, ${counted(asked + cached, 'question')}${known}, ${counted(tokens, 'token')}`;
}

/** The model that is asked and where; null: none is. UserError for one without the other. */
export function givenModel({
  nameWith,
  nameModel,
}: Partial<Pick<NameOptions, 'nameWith' | 'nameModel'>>): Pick<NameOptions, 'nameWith' | 'nameModel'> | null {
  if (nameWith === undefined && nameModel === undefined) return null;
  if (nameWith === undefined)
    throw new UserError('--name-model needs --name-with, the address that it is asked at');
  if (nameModel === undefined)
    throw new UserError('--name-with needs --name-model, such as --name-model llama3.2');
  return { nameWith, nameModel };
}

/** With the key of the environment. UserError if the address is none. */
export const endpointOf = (nameWith: string, nameModel: string): Endpoint =>
  endpointAt(nameWith, nameModel, process.env.OPENAI_API_KEY?.trim() || null);

/** Asks the model and draws the report again. `run`: an absolute path. */
export async function namedByModel(
  run: string,
  endpoint: Endpoint,
  how: Pick<NameOptions, 'status' | 'signal'>,
): Promise<NamedClusters> {
  const found = await namesFromModel(run, endpoint, how);
  return found.named ? { ...found, notes: [...found.notes, ...(await redrawn(run))] } : found;
}

/** Options of `addWords`; one of `text` and `texts` is needed. */
export interface WordsOptions {
  /** The directory of a finished first run. */
  run: string;
  /** The column with the texts, of the table that is the data of the run, or of that of `texts`. */
  text?: string;
  /** A file with the texts of the rows, as of `train`. */
  texts?: string;
  /**
   * Where the data of the run are by now.
   * @defaultValue where they were
   */
  data?: string;
  /** Called with texts on how far it is. */
  status?: (text: string) => void;
  /** Ends it early: the run is as it was. */
  signal?: AbortSignal;
}

/** What `addWords` did. */
export interface AddedWords {
  /** Clusters and joins that are called by their words now. */
  readonly named: number;
  /** All of them. */
  readonly of: number;
  /** What was left as it was and why, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Gives a finished run keywords, typical texts and names of its clusters and of the joins of its tree, and the texts of its sample, for
 * updates. Names by hand or by a model stay.
 *
 * @throws {UserError} (rejection) if the run is an update, not finished or in use, or there is not a text for each row
 * @throws {AbortError} (rejection) if `signal` is aborted
 */
export async function addWords(options: WordsOptions): Promise<AddedWords> {
  const kinds = { ...kindsOf(WORDS), status: HOOKS.status, signal: HOOKS.signal };
  assertOptions('addWords', options, kinds, ['run']);
  const { text = null } = options;
  if (text === null && options.texts === undefined)
    throw new UserError('words need texts: name their column with --text, or their file with --texts');
  const paths = fixedPaths();
  const [run, texts, data] = [paths.fix(options.run), paths.fix(options.texts), paths.fix(options.data)];
  return paths.naming(async () => {
    const { about, files } = readFinishedRun(run);
    if (about.update)
      throw new UserError(
        `${run} is an update, and words need the texts of all rows so far: give them to the first run, and update that`,
      );
    if (about.config.labelsOut === 'shards')
      throw new UserError(
        `${run} has its labels in parts (--labels-out shards), for which there are no words`,
      );
    const tree = readSavedTree(files);
    const { status, signal } = options;
    const file = texts ?? data ?? about.config.data;
    const named = await rewriteNames(
      run,
      async (saved, out) => {
        for (const name of [LABELS, KEPT_ROWS]) files.assertIntact(name);
        const read = await openTexts(run, about, file, text, texts === undefined);
        const keys = existsSync(join(run, SAMPLE)) ? readStream(run).stream!.keys : [];
        const input = { texts: read(), what: file, count: tableOfTexts, keys, status, signal };
        return setWords(saved, tree, await wordsOf(out, about, saved, tree, input));
      },
      identityOf(about),
    ).catch((error) => {
      throw signal?.aborted
        ? new AbortError(`stopped; ${run} is as it was`, { cause: signal.reason })
        : error;
    });
    const notes = (await redrawn(run)).map(paths.asGiven);
    return { named, of: about.result!.k + (tree?.joins.length ?? 0), notes };
  });
}

/** Opens the texts of the rows of a run. UserError if there is not one for each, or if data, of which they are a column, have changed. */
async function openTexts(
  run: string,
  about: RunFile,
  file: string,
  column: string | null,
  areInData: boolean,
): Promise<() => AsyncGenerator<string[]>> {
  const { config, data } = about;
  const { rows, table } = data;
  const problem = areInData && file === config.data ? await shownProblem(about, ['data']) : null;
  if (problem)
    throw new UserError(
      `${problem}, and its texts may be those of other rows: restore it; if they are those of the rows of the run, pass it as --texts too`,
    );
  const dropped = table?.dropped ? droppedRows(run, rows, table.dropped) : [];
  const dialect = areInData ? config : undefined;
  return openRowTexts(file, column, config.data, { rows, table: { dropped } }, dialect);
}

/** Draws the report again, if there is one and nothing that it shows would be lost. Returns what was left as it was and why. */
async function redrawn(run: string): Promise<string[]> {
  if (reportOf(run) === null) return [];
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-report-'));
  try {
    const { writeReport } = await import('../page/report/draw.ts');
    const { withoutPoints } = await writeReport(run, { version: dpmeshVersion(), out: folder }, READ_FILES);
    if (withoutPoints)
      return [`${withoutPoints}: the report has the name before until dpmesh plot ${run} draws it`];
    for (const name of readdirSync(folder)) {
      const file = createAtomicFile(join(run, 'report', name));
      file.write(readFileSync(join(folder, name)), 0);
      file.finish();
    }
    return [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
