import { BACKENDS } from '../base/identity.ts';
import { address, fromCores, integer, list, oneOf, output, seconds, text, yesOrNo } from './domains.ts';
import { type Option, of, option, type RunCommand } from './option.ts';

/** The options of a session of a run: how it is computed, shown and saved. */

const CONTINUING = ['resume', 'finish'] as const;
const ALL = ['train', 'update', 'coordinator', ...CONTINUING] as const;
/** Commands that start workers here. */
const LOCAL = ['train', 'update', ...CONTINUING] as const;
const BOUND = ['coordinator', ...CONTINUING] as const;

/** Options of how a run is computed, shown and saved. None changes its result, but `backend` and `mixed` its last bits. */
export const RUN_OPTIONS = {
  ...of('Run', {
    dryRun: option(yesOrNo(), {
      commands: ['train'],
      isForTerminals: true,
      help: 'only say what would be read and done, with a rough estimate of memory; nothing is written',
      fast: false,
    }),
    workers: option(fromCores(), {
      commands: LOCAL,
      alias: 'n-jobs',
      help: 'number of worker processes, −1: one per core, −2: all cores but one; does not affect the result',
      defaultText: 'one per core, at most --shards',
    }),
    gpus: option(list(), {
      commands: LOCAL,
      help: 'start workers on these GPUs: all, none, or numbers as in nvidia-smi (0,2)',
      defaultText: 'none',
    }),
    perGpu: option(integer(1, 64), {
      commands: LOCAL,
      help: 'number of workers on each GPU',
      fast: 1,
    }),
  }),
  ...of('Backend', {
    backend: option(oneOf('auto', ...BACKENDS), {
      commands: LOCAL,
      help: 'compute backend; auto: CUDA or else TensorFlow on the CPU if set up (dpmesh setup), otherwise wasm',
      fast: 'auto',
    }),
    requireGpu: option(yesOrNo(), {
      commands: LOCAL,
      help: 'end with an error (exit code 2) instead of computing without a GPU',
      fast: false,
    }),
    gpu: option(integer(0), {
      commands: LOCAL,
      help: 'index of the adapter for webgpu, from 0 (dpmesh doctor lists adapters)',
      fast: 0,
    }),
  }),
  ...of('Run', {
    out: option(output(), {
      commands: ALL,
      help: 'run directory',
      defaultText: 'runs/<data>',
    }),
    force: option(yesOrNo(), { commands: ALL, help: 'overwrite the run directory', fast: false }),
    json: option(yesOrNo(), {
      commands: ALL,
      isForTerminals: true,
      help: 'print the result as one JSON object',
      fast: false,
    }),
    events: option(yesOrNo(), {
      commands: ALL,
      isForTerminals: true,
      help: 'for programs: print each event as one line of JSON on stdout, and the result as the last; the run stops if its reader is gone',
      fast: false,
    }),
    report: option(yesOrNo(), {
      commands: ALL,
      help: 'draw pictures of the run and report.html in its folder report; --no-report: none',
      fast: true,
    }),
    heartbeatTimeout: option(seconds(), {
      commands: ALL,
      help: 'seconds of silence after which a worker’s shards are reassigned',
      fast: 5,
    }),
    checkpointEvery: option(seconds({ canBe0: true, most: Number.MAX_VALUE }), {
      commands: ALL,
      help: 'maximum seconds between checkpoints; 0: one per epoch. Split and merge steps always write one',
      fast: 30,
    }),
    mixed: option(yesOrNo(), {
      commands: ALL,
      help: 'accept workers of any numeric identity; bits then depend on which worker computes what',
      fast: false,
    }),
    sharedFiles: option(yesOrNo(), {
      commands: ALL,
      help: 'let workers read the data file themselves if they can; --no-shared-files: never',
      fast: true,
    }),
  }),
  ...of('Names', {
    nameWith: option(text(), {
      commands: ALL,
      help: 'after the run, ask a language model for names of the clusters: the address of an endpoint like OpenAI’s, such as http://localhost:11434/v1 (key: OPENAI_API_KEY); keywords and typical texts are sent there',
      defaultText: 'none, nothing is sent',
    }),
    nameModel: option(text(), {
      commands: ALL,
      help: 'the model that --name-with asks',
      defaultText: 'none',
    }),
  }),
  ...of('Monitoring', {
    http: option(address(), {
      commands: ALL,
      canBeOff: true,
      help: 'HOST:PORT of the live page and metrics; --no-http: none',
      defaultText: '127.0.0.1:9464, or a free port',
      inPrograms: 'off; true opens it at the usual address',
    }),
    httpToken: option(text(), {
      commands: ALL,
      help: 'token required for the page, its rows and to change the run over HTTP, not for metrics; mandatory unless --http is a loopback address',
      defaultText: 'DPMESH_HTTP_TOKEN, or none',
      inPrograms: 'none',
    }),
    linger: option(seconds({ canBe0: true, most: 1e6 }), {
      commands: ALL,
      help: 'seconds for which page and metrics stay available after the run',
      fast: 0,
    }),
  }),
  ...of('Run', {
    bind: option(text(), {
      commands: BOUND,
      help: 'start no workers; listen for workers at this address, tcp://HOST:PORT',
      fast: 'tcp://127.0.0.1:5555',
      inPrograms: 'none',
    }),
    keys: option(text(), {
      commands: BOUND,
      help: 'folder made by dpmesh keygen: encrypt connections and accept only its workers',
      defaultText: 'none, no encryption',
    }),
    insecure: option(yesOrNo(), {
      commands: BOUND,
      help: 'allow a --bind address that other machines can reach, without encryption or keys',
      fast: false,
    }),
  }),
};

export type RunOptionName = keyof typeof RUN_OPTIONS;
export type RunOption = Option & { commands: readonly RunCommand[] };
export const runOptions = Object.entries(RUN_OPTIONS) as [RunOptionName, RunOption][];
