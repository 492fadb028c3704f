import { hostname } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { firstBlockHash } from '../data/blocks.ts';
import type { Layout } from '../data/layout.ts';
import { openSource } from '../data/open.ts';
import { UserError } from '../data/user-error.ts';
import { fold, type Node } from '../model/tree.ts';
import { decode, encode, MalformedMessage, prefixed, unprefixed } from '../proto/codec.ts';
import type { WorkerKey } from '../proto/keys.ts';
import {
  type FromCoordinator,
  type FromWorker,
  fromCoordinator,
  PROTOCOL,
  type Unit,
} from '../proto/messages.ts';
import { connectDealer } from '../proto/sockets.ts';
import { nd, type Tensors, take } from '../proto/tensors.ts';
import type { Backend } from './backends/backend.ts';
import { fileBlocks, type ReadBlocks, servedBlocks } from './blocks.ts';
import { type Context, createContext } from './context.ts';
import { isBelow } from './data-root.ts';
import { createStates } from './states.ts';
import { runTask } from './tasks/index.ts';

export interface WorkerOptions {
  connect: string;
  /** Without it, nothing is encrypted. */
  key?: WorkerKey;
  backend: Backend;
  backendName: string;
  name: string;
  /** Files outside of this folder are not opened, whatever the coordinator says. */
  dataRoot: string;
  log: (line: string) => void;
}

type Round = Extract<FromCoordinator, { type: 'round' }>;
type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;

/** How often the resident memory is looked up, ms: the system takes its time to answer. */
const MEMORY_MS = 500;
/** Results that follow each other this soon share a message, ms: a message costs more than a small result. */
const RESULTS_MS = 20;
/** A coordinator that has not answered by then may not want to, ms. */
const ANSWER_MS = 10_000;
/** How often an idle or busy worker says that it is alive, ms. */
const PING_MS = 1000;

/**
 * Serves a coordinator until it says stop: joins, then runs the units of each round in turn and answers each. Rejects
 * with a UserError if it is refused. `leave` says goodbye.
 */
export function startWorker(options: WorkerOptions): { done: Promise<void>; leave: () => void } {
  const { backend, log } = options;
  const states = createStates(backend);
  const waiting = new Map<
    number,
    { resolve: (rows: Float32Array) => void; reject: (error: Error) => void }
  >();
  const rounds: { header: Round; tensors: Tensors }[] = [];
  let context: Context | null = null;
  let requests = 0;
  let busy = false;
  let memory = { at: Number.NEGATIVE_INFINITY, bytes: 0 };

  const socket = connectDealer(options.connect, receive, {
    key: options.key,
    failed: () => unanswered(),
    reopened: () => void hello(),
  });
  const send = (message: FromWorker, tensors?: Tensors) => socket.send(encode(message, tensors));
  // The first word is hello: until that is answered there is no ping.
  const ping = setInterval(() => context && void send({ type: 'ping' }), PING_MS);
  const answer = setTimeout(() => unanswered(), ANSWER_MS);
  let complained = false;
  function unanswered(): void {
    if (context || complained) return;
    complained = true;
    const keys = options.key ? 'is this key on its list' : 'does it want a key (--key FILE)';
    log(`no answer from ${options.connect}; is it up, and ${keys}?`);
  }
  let finish: (error?: Error) => void;
  const done = new Promise<void>((resolve, reject) => {
    finish = (error) => {
      clearInterval(ping);
      clearTimeout(answer);
      socket.close();
      if (error) reject(error);
      else resolve();
    };
  });
  const hello = () =>
    send({
      type: 'hello',
      protocol: PROTOCOL,
      identity: backend.identity,
      backend: options.backendName,
      host: hostname(),
      pid: process.pid,
      name: options.name,
    });
  void hello();

  function receive(frames: Buffer[]): void {
    let message: { header: FromCoordinator; tensors: Tensors };
    try {
      message = decode(fromCoordinator, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      log(`ignored a message from the coordinator: ${error.message}`);
      return;
    }
    const { header, tensors } = message;
    switch (header.type) {
      case 'welcome':
        void join(header).catch(finish);
        break;
      case 'refuse':
        finish(new UserError(`the coordinator refused this worker: ${header.reason}`));
        break;
      case 'round':
        rounds.push({ header, tensors });
        if (!busy) void work().catch(finish);
        break;
      case 'rows': {
        const asked = waiting.get(header.request);
        waiting.delete(header.request);
        if (header.problem) asked?.reject(new UserError(header.problem));
        else asked?.resolve(take(tensors, 'rows', 'float32'));
        break;
      }
      case 'stop':
        finish();
        break;
    }
  }

  async function join({ worker, file, layout }: Welcome): Promise<void> {
    const own = file && (await visible(file, layout));
    context = createContext(backend, states, own ?? servedBlocks(fetch, layout.dim), layout);
    log(`joined as ${worker}; rows come from ${own ? file.path : 'the coordinator'}`);
    if (!busy) await work();
  }

  /** A reader of the data file, if it can be seen from here and is the same file. */
  async function visible(
    file: { path: string; firstBlock: string },
    layout: Layout,
  ): Promise<ReadBlocks | null> {
    try {
      if (!isBelow(options.dataRoot, file.path)) return null;
      const source = await openSource(file.path);
      const same = source.rows === layout.rows && source.dim === layout.dim;
      if (same && (await firstBlockHash(source, layout)) === file.firstBlock) return fileBlocks(source);
      log(`${file.path} differs from the coordinator's; asking it for rows`);
    } catch {
      log(`${file.path} cannot be read here; asking the coordinator for rows`);
    }
    return null;
  }

  function residentMemory(): number {
    if (performance.now() - memory.at > MEMORY_MS)
      memory = { at: performance.now(), bytes: process.memoryUsage.rss() };
    return memory.bytes;
  }

  function fetch(blocks: number[]): Promise<Float32Array> {
    const request = requests++;
    void send({ type: 'fetch', request, blocks });
    return new Promise((resolve, reject) => waiting.set(request, { resolve, reject }));
  }

  async function work(): Promise<void> {
    if (!context) return;
    busy = true;
    for (let next = rounds.shift(); next; next = rounds.shift())
      await runRound(context, next.header, next.tensors);
    busy = false;
  }

  async function runRound(context: Context, header: Round, tensors: Tensors): Promise<void> {
    for (const { name, version } of header.states) states.put(name, version, unprefixed(tensors, name));
    const { round, tasks } = header;
    let done: Done[] = [];
    let nodes: Node[] = [];
    let seconds: Record<string, number> = {};
    let sent = performance.now();
    const flush = () => {
      for (const { from, to, sums } of nodes) done.push({ units: unitsWithin(header.units, from, to), sums });
      if (!done.length) return;
      const message = { done: done.map(({ units }) => units), seconds };
      const tensors = prefixed(done.map(({ sums, tensors }, i) => [i, tensors ?? asTensors(sums!)]));
      const about = { rowsRead: context.rowsRead(), memory: residentMemory() };
      void send({ type: 'results', round, ...message, ...about }, tensors);
      done = [];
      nodes = [];
      seconds = {};
      sent = performance.now();
    };
    for (const unit of header.units) {
      try {
        for (const { name, version } of header.uses) states.check(name, version);
        const results: [number, Tensors][] = [];
        for (const [i, task] of tasks.entries()) {
          const start = performance.now();
          results.push([i, await runTask(context, task, unit)]);
          seconds[task.task] = (seconds[task.task] ?? 0) + (performance.now() - start) / 1000;
        }
        const tensors = prefixed(results);
        if (header.sum) fold(nodes, { from: unit.shard, to: unit.shard + 1, sums: asSums(tensors) });
        else done.push({ units: [unit], tensors });
        if (performance.now() - sent > RESULTS_MS) {
          flush();
          // The sockets and the ping get their turn.
          await setImmediate();
        }
      } catch (error) {
        const mistake = error instanceof UserError;
        const message = String(mistake ? error.message : ((error as Error).stack ?? error)).slice(0, 4000);
        void send({ type: 'failure', round, unit, mistake, message });
        return;
      }
    }
    flush();
  }

  return { done, leave: () => void send({ type: 'bye' }).then(() => finish()) };
}

/** What units gave: the tensors of one, or the sums over several. */
interface Done {
  units: Unit[];
  tensors?: Tensors;
  sums?: Node['sums'];
}

const unitsWithin = (units: Unit[], from: number, to: number) =>
  units.filter(({ shard }) => shard >= from && shard < to);

const asSums = (tensors: Tensors): Node['sums'] =>
  Object.fromEntries(Object.keys(tensors).map((name) => [name, take(tensors, name, 'float64')]));

const asTensors = (sums: Node['sums']): Tensors =>
  Object.fromEntries(Object.entries(sums).map(([name, values]) => [name, nd(values)]));
