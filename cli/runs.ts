import { join } from 'node:path';
import { indentContinuation } from '../base/text.ts';
import { INTERRUPTED, UserError } from '../base/user-error.ts';
import { NEW_ROWS, RESUME } from '../library/command-options.ts';
import type { RunResult } from '../library/result.ts';
import type { Run } from '../library/run.ts';
import type { RunConfig } from '../run/config.ts';
import { flagName, type ValuesOf } from '../run/option.ts';
import { options, UPDATE_OPTIONS } from '../run/options.ts';
import { alternationsText, cameBackText, certaintyText, evidenceText } from '../run/summary.ts';
import {
  type Command,
  type Flags,
  flagsFor,
  flagsOf,
  pickOptions,
  type ResultValues,
  type RunValues,
  resultFlags,
} from './flags.ts';
import { dataPathOf, onSignal, reportProblem, type TerminalOptions } from './process.ts';
import { createDisplay } from './progress.ts';
import { configOf, runOptionsOf } from './run-config.ts';

/** The commands that run: train, coordinator, resume, finish. */

type NewValues = ResultValues & RunValues;

export const train: Command = {
  command: 'train [file]',
  words: ['data'],
  describe: 'cluster a file with workers on this machine',
  builder: { ...resultFlags, ...flagsFor('train') },
  examples: [
    ['train x.npy', 'cluster the rows of x.npy; results in runs/x'],
    ['train x.csv --labels x.csv:kind', 'without the column kind, whose classes are used for scores'],
    ['train photos/ --encoder autoencoder', 'learn features of images, and cluster these'],
    ['train x.csv --dry-run', 'what would be read and done'],
  ],
  handler: (values: NewValues) => startRun(values, train.builder),
};

export const coordinator: Command = {
  command: 'coordinator [file]',
  words: ['data'],
  describe: 'cluster a file with workers that join from this or other machines',
  builder: {
    ...resultFlags,
    ...flagsFor('coordinator'),
    bind: { ...flagsFor('coordinator').bind, describe: 'address that workers connect to, tcp://HOST:PORT' },
  },
  examples: [
    ['coordinator x.npy', 'wait for workers on this machine'],
    ["coordinator x.npy --bind 'tcp://*:5555' --keys keys", 'for workers elsewhere that have a key (keygen)'],
    ['worker --connect tcp://HOST:5555 --key alice.key', 'there, or: launch --gpus all --connect …'],
  ],
  handler: (values: NewValues) => startRun(values, coordinator.builder),
};

async function startRun(values: NewValues, flags: Flags): Promise<void> {
  const given = await configOf(values, Object.keys(flags));
  const config = { ...given, data: await dataPathOf(given.data) };
  const options = await runOptionsOf(values);
  if (values.dryRun) return (await import('./dry-run.ts')).dryRun(config, options, values.json ?? false);
  const { train } = await import('../library/train.ts');
  const { maxEpochs } = config;
  await runOnTerminal((terminal) => train({ ...config, ...options, ...terminal }), { ...values, maxEpochs });
}

const ofResume = flagsFor('resume');
const { default: _, ...backend } = ofResume.backend;
const { default: __, ...bind } = ofResume.bind;
/** The flag has the value of the run by default. */
const ofRun = (describe: string) =>
  ({ describe, defaultDescription: 'that of the run', group: bind.group, requiresArg: true }) as const;

const ofUpdate = flagsFor('update');
const { default: ___, ...updateBackend } = ofUpdate.backend;

/** Flags of the commands that continue a run. */
const continuingFlags: Flags = {
  // Flags of a new run are accepted here, so that `assertNoChanges` can reject them with a better message.
  ...Object.fromEntries(Object.entries(resultFlags).map(([name, flag]) => [name, { ...flag, hidden: true }])),
  run: { type: 'string', hidden: true },
  ...ofResume,
  backend: {
    ...backend,
    ...ofRun('compute backend; any other than that of the run is rejected'),
    group: backend.group,
  },
  out: { ...ofResume.out, ...ofRun('write to this directory and leave the old one unchanged') },
  ...flagsOf(RESUME),
  bind,
};

interface ContinuingValues
  extends Omit<ResultValues, keyof typeof RESUME>,
    RunValues,
    Partial<ValuesOf<typeof RESUME>> {
  run?: string;
}

export const resume: Command = {
  command: 'resume <run>',
  describe: 'continue a run that was stopped, from its newest checkpoint',
  builder: continuingFlags,
  examples: [
    ['resume runs/x', 'continue, with any number of workers: the same bytes'],
    ['resume runs/x --data /elsewhere/x.npy', 'the data have moved'],
    ['resume runs/x --out runs/again', 'leave runs/x as it is'],
  ],
  handler: (values: ContinuingValues) => continueRun(values, false),
};

export const finish: Command = {
  command: 'finish <run>',
  describe: 'label all rows of a run that was stopped, as of its newest checkpoint, without training on',
  // `--max-epochs` with a message that says why not.
  builder: { ...continuingFlags, 'max-epochs': { ...continuingFlags['max-epochs'], hidden: true } },
  examples: [
    ['finish runs/x', 'labels and report as of the newest checkpoint'],
    ['finish runs/x --out runs/now', 'leave runs/x as it is, so that it can be resumed'],
    ['resume runs/x --max-epochs 1000', 'go on with it after all'],
  ],
  handler: (values: ContinuingValues) => continueRun(values, true),
};

export const update: Command = {
  command: 'update <run>',
  describe: 'take new rows into a finished run: its clusters go on, and keep their numbers',
  builder: {
    ...flagsOf(NEW_ROWS),
    ...flagsOf(UPDATE_OPTIONS),
    ...ofUpdate,
    out: { ...ofUpdate.out, defaultDescription: '<run>-2, -3 …' },
    backend: {
      ...updateBackend,
      ...ofRun('compute backend; any other than that of the run is rejected'),
      group: backend.group,
    },
  },
  examples: [
    ['update runs/x --data new.npy', 'labels of the new rows in runs/x-2'],
    ['update runs/x --data new.npy --half-life 1000000', 'old rows count less and less'],
  ],
  async handler({ run, data, labels, ...values }: UpdateValues) {
    const { update } = await import('../library/update.ts');
    const options = await runOptionsOf(values);
    const rows = {
      run: String(run),
      data: await dataPathOf(data),
      labels,
      ...pickOptions(UPDATE_OPTIONS, values),
    };
    await runOnTerminal((terminal) => update({ ...rows, ...options, ...terminal }), {
      ...values,
      maxEpochs: 0,
    });
  },
};

interface UpdateValues extends RunValues, Partial<ValuesOf<typeof UPDATE_OPTIONS>> {
  run: string;
  data: string;
  labels?: string;
}

/**
 * Files may have moved: the fingerprint tells whether the rows are the same, and labels change only the scores. A limit only decides
 * where training ends.
 */
const MAY_CHANGE = ['data', 'labels', 'maxEpochs'];

/** Continues a run in this terminal; `finish`: it only gets its results. */
async function continueRun(values: ContinuingValues, finish: boolean): Promise<void> {
  const run = String(values.run);
  const { readRunFile } = await import('../run/run-file.ts');
  readRunFile(run, { mayBeEarlier: true });
  const file = join(run, 'run.json');
  const config = await configOf({ config: file });
  await assertNoChanges(values, config, file);
  const options = await runOptionsOf(values);
  const { resume } = await import('../library/train.ts');
  const { maxEpochs } = values;
  const data = values.data === undefined ? undefined : await dataPathOf(values.data);
  const how = { ...pickOptions(RESUME, values), run, data, finish };
  await runOnTerminal((terminal) => resume({ ...how, ...options, ...terminal }), {
    ...values,
    maxEpochs: maxEpochs ?? config.maxEpochs,
  });
}

/** Throws a UserError for the first flag that would change the result. */
async function assertNoChanges(values: ContinuingValues, own: RunConfig, file: string): Promise<void> {
  if (values.config !== undefined)
    throw new UserError(
      `--config cannot be used: a run resumes with its own ${file}; for another config, start a new run with dpmesh train`,
    );
  const requested = await configOf({ ...values, config: file });
  const names = options.map(([name]) => name).filter((name) => !MAY_CHANGE.includes(name));
  // Flags that were given come first, because they change the defaults of others (--schedule).
  const given = names.filter((name) => values[name] !== undefined);
  for (const name of new Set([...given, ...names])) {
    const [a, b] = [requested[name], own[name]].map((value) => JSON.stringify(value));
    const flag = `${flagName(name)} ${values[name]}`;
    if (a !== b)
      throw new UserError(
        `${flag} would change the result (the run has ${own[name]}); start a new run: dpmesh train --config ${file} ${flag}`,
      );
  }
}

/**
 * Runs with progress on stderr, or with `events` as JSON lines on stdout, and the result on stdout. SIGTERM and SIGINT stop the run in an
 * orderly way, SIGHUP reloads the keys. On a terminal, where somebody reads what that does, a first Ctrl-C ends it early with results
 * instead. The lines of a coordinator (`bind`) have times where they go to a file; scripts, and programs that read the events, rely on an end within seconds.
 */
async function runOnTerminal(
  start: (terminal: TerminalOptions) => Run,
  { maxEpochs, json = false, events = false, keys, bind }: RunValues & { maxEpochs: number },
): Promise<void> {
  const stopping = new AbortController();
  let run: Run | null = null;
  let isFinishing = false;
  const finish = (): boolean => {
    const isOffered = process.stderr.isTTY && !events && !isFinishing;
    const what = isOffered ? (run?.finish() ?? null) : null;
    if (what === null) return false;
    isFinishing = true;
    display.line(`${what}; Ctrl-C again aborts the run, without results`);
    return true;
  };
  onSignal(() => stopping.abort(), undefined, finish);
  // A program that reads the events and is killed must not leave a run behind that nobody waits for.
  if (events) process.stdout.on('error', () => stopping.abort());
  // Before it starts, there is nothing to read again.
  if (keys !== undefined) process.on('SIGHUP', () => run?.rereadKeys());
  const display = createDisplay(maxEpochs, process.stderr, bind !== undefined);
  const { AbortError } = await import('../library/abort-error.ts');
  const log = (message: string) => printEvent({ type: 'log', message });
  const shown = events ? { log, status() {} } : { log: display.line, status: display.status };
  run = start({ signal: stopping.signal, ...shown });
  try {
    for await (const event of run)
      if (events) printEvent(event);
      else if (event.type === 'epoch') display.epoch(event);
      // Its notes are printed with the result.
      else if (event.type !== 'done') display.event(event);
    const result = await run;
    display.end();
    print(result, json || events);
  } catch (error) {
    display.end();
    if (error instanceof AbortError) {
      display.line(error.message);
      process.exitCode = INTERRUPTED;
      return;
    }
    // Page and metrics may linger for minutes.
    if (!reportProblem(error)) {
      await run.closed;
      throw error;
    }
  }
  await run.closed;
}

const printEvent = (event: object) => console.log(JSON.stringify(event));

/** As a word of a shell's command line. */
const word = (text: string) => (/^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Clusters that are named, the largest ones. */
const MOST_NAMED = 5;

const named = (result: RunResult) =>
  result.clusters.filter(({ namedBy }) => namedBy !== 'number').slice(0, MOST_NAMED);

/** Prints the result, as text or as one JSON object. */
export function print(result: RunResult, json: boolean): void {
  const { k, scores, columns: dim, directory: out, report, ...others } = result;
  const { alternations, outliers, noise, seconds } = others;
  if (json) {
    const summary = {
      k,
      ...scores,
      ...others,
      dim,
      out,
      alternations: alternations ?? undefined,
      ...result.update,
    };
    return void console.log(JSON.stringify(summary));
  }
  const certainty = certaintyText(result);
  const score = (value: number | null) => value?.toFixed(4) ?? '–';
  const known = (value: number | null) => value?.toFixed(4) ?? null;
  const rows: [name: string, value: string | null][] = [
    ['clusters (K)', certainty ? `${k} (${certainty})` : String(k)],
    ['evidence for K', evidenceText(result.evidence) || null],
    ['came back', cameBackText(result.replicates)],
    ['NMI', known(scores.nmi)],
    ['ARI', known(scores.ari)],
    ['ACC', known(scores.acc)],
    ['silhouette', score(scores.silhouette)],
    ['alternations', alternations && alternationsText(alternations)],
    ['loss', score(result.loss)],
    ['rows × dimensions', `${result.rows.toLocaleString('en')} × ${dim}`],
    ['outliers', outliers ? outliers.toLocaleString('en') : null],
    [
      'noise',
      noise ? `${noise.toLocaleString('en')} rows, ${((100 * noise) / result.rows).toFixed(1)} %` : null,
    ],
    ['epochs, rounds', `${result.epochs}, ${result.rounds}`],
    ['workers', String(result.workers)],
    ['training', `${seconds.toFixed(2)} s`],
    ['results', out],
    ['report', report],
    // The address of the live page ends with the run.
    ['page', `dpmesh view ${word(out)}`],
  ];
  for (const { cluster, id = cluster, name, size } of named(result))
    rows.push([`cluster ${id}`, `${name} (${size.toLocaleString('en')} rows)`]);
  for (const [name, value] of rows)
    if (value !== null) console.log(indentContinuation(`${name.padEnd(18)}  ${value}`));
  for (const note of result.notes) console.log(indentContinuation(`note: ${note}`));
}
