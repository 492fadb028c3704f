import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { firstBlockHash } from '../data/blocks.ts';
import { block, type Layout } from '../data/layout.ts';
import { openSource } from '../data/open.ts';
import type { Source } from '../data/source.ts';
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
import { OutOfDeviceMemory } from './backends/out-of-memory.ts';
import { fileBlocks, servedBlocks } from './blocks.ts';
import { checkTask, checkUnit, UnsoundRound } from './checks.ts';
import { type Context, createContext } from './context.ts';
import { isBelow } from './data-root.ts';
import type { Meter } from './http.ts';
import { whyNoAnswer } from './reach.ts';
import { createStates } from './states.ts';
import { runTask } from './tasks/index.ts';

export interface WorkerOptions {
  connect: string;
  /** Without it, nothing is encrypted. */
  key?: WorkerKey;
  backend: Backend;
  backendName: string;
  /** Why it was taken, for people. */
  why?: string;
  name: string;
  /** Files outside of this folder are not opened, whatever the coordinator says. */
  dataRoot: string;
  /** Without a word from the coordinator for this long, the worker gives up, ms. */
  reconnectFor: number;
  /** The same before the coordinator was ever heard, `reconnectFor` by default; Infinity: never. */
  giveUpAfter?: number;
  log: (line: string) => void;
  /** Counts what it does. */
  meter?: Meter;
}

type Round = Extract<FromCoordinator, { type: 'round' }>;
type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;
type Results = Extract<FromWorker, { type: 'results' }>;

/** How often memory is looked up, ms: the system takes its time to answer. */
const MEMORY_MS = 500;
/** Results that follow each other this soon share a message, ms: a message costs more than a small result. */
const RESULTS_MS = 20;
/** Rounds that wait: a coordinator has one at a time, in a few messages. */
const MOST_ROUNDS = 1024;
/** Messages that are refused are logged up to this; all are counted. */
const MOST_LOGGED = 20;
/** Pings in a row without an answer after which it is said how things are: a coordinator that is known may be busy. */
const [SILENT, SILENT_KNOWN] = [3, 10];
/** As many, and the connection is made anew: longer than a handshake may take. */
const SILENT_REOPEN = 12;
/** Then every few seconds, and less often when that is no news, ms. */
const SAY_MS = 5000;
const SAY_LATER_MS = 30_000;
const NEWS_MS = 60_000;
/** A worker that leaves waits for a coordinator that is silent no longer than this, ms. */
const FAREWELL_MS = 2000;
/** How often an idle or busy worker says that it is alive, ms. */
const PING_MS = 1000;

export interface Worker {
  done: Promise<void>;
  leave(): void;
  /** Messages that were refused since the start, by reason. */
  refused(): Record<'malformed' | 'unsound' | 'unasked' | 'too many', number>;
}

/**
 * Serves a coordinator until it says stop: joins, then runs the units of each round in turn and answers each. When the
 * connection is cut, or the coordinator starts anew, it joins again; rejects with a UserError if it is refused, or
 * after `reconnectFor` ms without a word. `leave` finishes the unit at hand and says goodbye, if somebody is there.
 */
export function startWorker(options: WorkerOptions): Worker {
  const { backend, log, meter } = options;
  const session = randomBytes(16).toString('hex');
  const fetches = new Map<number, Fetch>();
  let context: Context | null = null;
  /** The coordinator's process that welcomed this worker; what another one asked for counts no more. */
  let term: number | null = null;
  let rounds: { header: Round; tensors: Tensors }[] = [];
  let latest = 0;
  let requests = 0;
  let busy = false;
  let working = Promise.resolve();
  let leaving = false;
  let memory: { at: number; of: Pick<Results, 'memory' | 'gpuMemory'> } = {
    at: Number.NEGATIVE_INFINITY,
    of: { memory: 0 },
  };
  let heard = performance.now();
  let asked = Number.NEGATIVE_INFINITY;
  let pinging = false;
  const refused = { malformed: 0, unsound: 0, unasked: 0, 'too many': 0 };
  let closeFile = () => {};
  const ignore = (why: keyof typeof refused, what: string) => {
    if (++refused[why] <= MOST_LOGGED) log(`ignored a message from the coordinator: ${what}`);
  };

  let isKnown = false;
  let over = false;
  /** Ticks since something was heard: not time, as a task may have kept us from listening. */
  let ticks = 0;
  let said = Number.NEGATIVE_INFINITY;
  const socket = connectDealer(options.connect, receive, {
    key: options.key,
    failed: unanswered,
    reopened: hello,
  });
  const send = (message: FromWorker, tensors?: Tensors) => socket.send(encode(message, tensors));

  function unanswered(): void {
    const now = performance.now();
    if (now - said < (now - heard < NEWS_MS ? SAY_MS : SAY_LATER_MS)) return;
    said = now;
    void whyNoAnswer(options.connect, options.key !== undefined).then((why) => {
      if (now < heard || over) return;
      const silent = Math.round((performance.now() - heard) / 1000);
      log(`no answer from ${options.connect}${silent ? ` for ${silent} s` : ''}, trying on: ${why}`);
    });
  }
  const watch = setInterval(() => {
    const silent = performance.now() - heard;
    const patience = isKnown ? options.reconnectFor : (options.giveUpAfter ?? options.reconnectFor);
    if (silent > patience)
      return finish(new UserError(`no word from ${options.connect} for ${Math.round(patience / 1000)} s`));
    if (++ticks >= (isKnown ? SILENT_KNOWN : SILENT)) unanswered();
    // A connection that libzmq holds for a good one may be none, after bytes that were damaged on their way.
    if (ticks % SILENT_REOPEN === 0) socket.reopen();
    // One at a time: without a connection they would wait in line.
    if (pinging) return;
    pinging = true;
    void send({ type: 'ping' }).then(() => {
      pinging = false;
    });
  }, PING_MS);
  let finish: (error?: Error) => void;
  const done = new Promise<void>((resolve, reject) => {
    finish = (error) => {
      over = true;
      clearInterval(watch);
      socket.close();
      if (error) reject(error);
      else resolve();
    };
  });
  hello();

  function hello(): void {
    if (performance.now() - asked < PING_MS) return;
    asked = performance.now();
    const { identity } = backend;
    const about = {
      backend: options.backendName,
      why: options.why,
      ...(backend.device && { gpu: backend.device.name.slice(0, 200) }),
      host: hostname(),
      pid: process.pid,
      name: options.name,
    };
    void send({ type: 'hello', protocol: PROTOCOL, identity, ...about, session });
  }

  function receive(frames: Buffer[]): void {
    let message: { header: FromCoordinator; tensors: Tensors };
    try {
      message = decode(fromCoordinator, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      ignore('malformed', error.message);
      return;
    }
    heard = performance.now();
    isKnown = true;
    ticks = 0;
    const { header, tensors } = message;
    switch (header.type) {
      case 'welcome':
        void join(header).catch(finish);
        break;
      case 'refuse':
        if (header.identity === undefined) finish(new Refused(header.reason));
        else finish(new OtherIdentity(header.reason, header.identity));
        break;
      case 'who':
        hello();
        break;
      case 'round':
        if (header.term !== term) break;
        if (rounds.length >= MOST_ROUNDS) {
          ignore('too many', `${MOST_ROUNDS} rounds wait already`);
          break;
        }
        latest = Math.max(latest, header.round);
        rounds.push({ header, tensors });
        work();
        break;
      case 'rows': {
        const fetch = fetches.get(header.request);
        const rows = tensors.rows?.data;
        const fits = rows instanceof Float32Array && rows.length === fetch?.length;
        if (!fetch || !(header.problem || fits)) {
          ignore('unasked', `rows that nobody asked for, or not those`);
          break;
        }
        fetches.delete(header.request);
        if (header.problem) fetch.reject(new UserError(header.problem));
        else fetch.resolve(rows as Float32Array);
        break;
      }
      case 'stop':
        finish();
        break;
    }
  }

  async function join(welcome: Welcome): Promise<void> {
    if (welcome.term === term) {
      // A new connection to the same coordinator: what was asked for on the old one may be lost.
      rounds = [];
      for (const [request, { blocks }] of fetches) void send({ type: 'fetch', request, blocks });
      return;
    }
    term = welcome.term;
    rounds = [];
    latest = 0;
    for (const { reject } of fetches.values()) reject(new Superseded());
    fetches.clear();
    const old = context;
    context = null;
    await working;
    old?.free();
    closeFile();
    closeFile = () => {};
    const { worker, file, layout } = welcome;
    const own = file && (await visible(file, layout));
    if (term !== welcome.term) {
      own?.close();
      return;
    }
    if (own) closeFile = own.close;
    if (meter) meter.joined = true;
    const lengthOf = (blocks: number[]) =>
      blocks.reduce((sum, index) => sum + block(layout, index).count, 0) * layout.dim;
    const rows = own
      ? fileBlocks(own)
      : servedBlocks((blocks) => fetch(blocks, lengthOf(blocks)), layout.dim);
    context = createContext(backend, createStates(backend), rows, layout);
    log(`joined as ${worker}; rows come from ${own ? file.path : 'the coordinator'}`);
    work();
  }

  /** A reader of the data file, if it can be seen from here and is the same file. */
  async function visible(file: { path: string; firstBlock: string }, layout: Layout): Promise<Source | null> {
    let source: Source | null = null;
    try {
      if (!isBelow(options.dataRoot, file.path)) return null;
      source = await openSource(file.path);
      const same = source.rows === layout.rows && source.dim === layout.dim;
      if (same && (await firstBlockHash(source, layout)) === file.firstBlock) return source;
      log(`${file.path} differs from the coordinator's; asking it for rows`);
    } catch {
      log(`${file.path} cannot be read here; asking the coordinator for rows`);
    }
    source?.close();
    return null;
  }

  function memoryNow() {
    if (performance.now() - memory.at > MEMORY_MS) {
      const found = backend.device?.memory?.();
      const whole = found && { used: Math.round(found.used), limit: Math.round(found.limit) };
      const of = { memory: process.memoryUsage.rss(), ...(whole && { gpuMemory: whole }) };
      memory = { at: performance.now(), of };
    }
    return memory.of;
  }

  function fetch(blocks: number[], length: number): Promise<Float32Array> {
    const request = requests++;
    void send({ type: 'fetch', request, blocks });
    return new Promise((resolve, reject) => fetches.set(request, { blocks, length, resolve, reject }));
  }

  function work(): void {
    if (busy) return;
    busy = true;
    working = (async () => {
      while (context && rounds.length && !leaving) {
        const { header, tensors } = rounds.shift()!;
        await runRound(context, header, tensors);
      }
      busy = false;
      if (leaving) goodbye();
    })().catch(finish);
  }

  function goodbye(): void {
    void send({ type: 'bye' }).then(() => finish());
  }

  async function runRound(context: Context, header: Round, tensors: Tensors): Promise<void> {
    const { states, layout, shards } = context;
    const { round, tasks } = header;
    const fail = (unit: Unit, error: unknown) => {
      if (error instanceof UnsoundRound) refused.unsound++;
      const mistake = error instanceof UserError;
      const message = String(mistake ? error.message : ((error as Error).stack ?? error)).slice(0, 4000);
      void send({ type: 'failure', term: header.term, round, unit, mistake, message });
    };
    try {
      for (const { name, version } of header.states) states.put(name, version, unprefixed(tensors, name));
      for (const { name, version } of header.uses) states.check(name, version);
      for (const task of tasks) checkTask(task, states, layout);
      for (const unit of header.units) checkUnit(unit, shards);
    } catch (error) {
      // Of a round that is over the states may be older than those here: nobody waits for it.
      if (header.units.length && round >= latest) fail(header.units[0], error);
      return;
    }
    /** Nobody waits for it any more. */
    const isOver = () => leaving || header.term !== term || round < latest;
    let done: Done[] = [];
    let nodes: Node[] = [];
    let seconds: Record<string, number> = {};
    let sent = performance.now();
    const flush = () => {
      for (const { from, to, sums } of nodes) done.push({ units: unitsWithin(header.units, from, to), sums });
      if (!done.length) return;
      const message = { term: header.term, round, done: done.map(({ units }) => units), seconds };
      const found = prefixed(done.map(({ sums, tensors }, i) => [i, tensors ?? asTensors(sums!)]));
      const rowsRead = context.rowsRead();
      if (meter) count(meter, message, rowsRead);
      void send({ type: 'results', ...message, rowsRead, ...memoryNow() }, found);
      done = [];
      nodes = [];
      seconds = {};
      sent = performance.now();
    };
    for (const unit of header.units) {
      if (isOver()) break;
      try {
        const results: [number, Tensors][] = [];
        for (const [i, task] of tasks.entries()) {
          const start = performance.now();
          results.push([i, await runTask(context, task, unit)]);
          seconds[task.task] = (seconds[task.task] ?? 0) + (performance.now() - start) / 1000;
        }
        const found = prefixed(results);
        if (header.sum) fold(nodes, { from: unit.shard, to: unit.shard + 1, sums: asSums(found) });
        else done.push({ units: [unit], tensors: found });
        if (performance.now() - sent > RESULTS_MS) {
          flush();
          // The sockets and the ping get their turn.
          await setImmediate();
        }
      } catch (error) {
        if (error instanceof Superseded || header.term !== term) return;
        if (error instanceof OutOfDeviceMemory) {
          // The others take over what it had; with none left, the run waits.
          void send({ type: 'bye' }).then(() => finish(error));
          return;
        }
        fail(unit, error);
        return;
      }
    }
    flush();
  }

  return {
    done,
    refused: () => ({ ...refused }),
    leave() {
      if (leaving) return;
      leaving = true;
      if (!busy) goodbye();
      // Neither a goodbye nor rows that were asked for get through to nobody.
      let before = Number.NaN;
      const farewell = setInterval(() => {
        if (heard === before) finish();
        before = heard;
      }, FAREWELL_MS);
      const left = () => clearInterval(farewell);
      done.then(left, left);
    },
  };
}

function count(meter: Meter, { done, seconds }: Pick<Results, 'done' | 'seconds'>, rows: number): void {
  meter.rowsRead += rows;
  for (const units of done) meter.units += units.length;
  for (const [task, spent] of Object.entries(seconds))
    meter.seconds[task] = (meter.seconds[task] ?? 0) + spent;
}

class Refused extends UserError {
  constructor(reason: string) {
    super(`the coordinator refused this worker: ${reason}`);
  }
}

/** The run computes with another backend. */
export class OtherIdentity extends Refused {
  constructor(
    reason: string,
    readonly identity: string,
  ) {
    super(reason);
  }
}

interface Fetch {
  blocks: number[];
  /** How many numbers that will be. */
  length: number;
  resolve: (rows: Float32Array) => void;
  reject: (error: Error) => void;
}

/** The coordinator that asked is gone: the work is dropped without a word. */
class Superseded extends Error {}

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
