import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { UserError } from '../base/user-error.ts';
import { block } from '../model/layout.ts';
import { decode, encode, MalformedMessage } from '../proto/codec.ts';
import type { WorkerKey } from '../proto/keys.ts';
import {
  type FromCoordinator,
  type FromWorker,
  fromCoordinator,
  MOST_ABOUT,
  MOST_WHY,
  PROTOCOL,
  type Unit,
} from '../proto/messages.ts';
import { connectDealer } from '../proto/sockets.ts';
import type { Tensors } from '../proto/tensors.ts';
import { fileBlocks, servedBlocks } from './blocks.ts';
import { UnsoundRound } from './checks.ts';
import type { Backend } from './compute/backends/backend.ts';
import { Unable } from './compute/backends/errors.ts';
import { type Context, createContext } from './context.ts';
import { openVisible } from './data-root.ts';
import { createFetches, Superseded } from './fetches.ts';
import { giveWay } from './give-way.ts';
import type { Meter } from './meter.ts';
import { type Round, runUnits, takeRound } from './round.ts';
import { createStates } from './states.ts';

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

type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;
type Results = Extract<FromWorker, { type: 'results' }>;

/** How often memory is looked up, ms: the system takes its time to answer. */
const MEMORY_MS = 500;
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
const SAY_LATER_MS = 10_000;
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
  let context: Context | null = null;
  /** The coordinator's process that welcomed this worker; what another one asked for counts no more. */
  let term: number | null = null;
  let rounds: { header: Round; tensors: Tensors }[] = [];
  let latest = 0;
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
  /** Why nothing is heard, when that was last looked into. */
  let silence = '';
  const socket = connectDealer(options.connect, receive, {
    key: options.key,
    failed: unanswered,
    reopened: hello,
  });
  const send = (message: FromWorker, tensors?: Tensors) => socket.send(encode(message, tensors));
  const fetches = createFetches((request, blocks) => void send({ type: 'fetch', request, blocks }));

  async function unanswered(): Promise<void> {
    const now = performance.now();
    if (now - said < (now - heard < NEWS_MS ? SAY_MS : SAY_LATER_MS)) return;
    said = now;
    const { whyNoAnswer } = await import('./diagnose.ts');
    const why = await whyNoAnswer(options.connect, options.key !== undefined);
    if (now < heard || over) return;
    silence = `: ${why}`;
    const silent = Math.round((performance.now() - heard) / 1000);
    log(`no answer from ${options.connect}${silent ? ` for ${silent} s` : ''}, trying on: ${why}`);
  }
  const watch = setInterval(() => {
    const silent = performance.now() - heard;
    const patience = isKnown ? options.reconnectFor : (options.giveUpAfter ?? options.reconnectFor);
    if (silent > patience) {
      const seconds = Math.round(patience / 1000);
      return finish(new UserError(`no word from ${options.connect} for ${seconds} s${silence}`));
    }
    if (++ticks >= (isKnown ? SILENT_KNOWN : SILENT)) void unanswered();
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
      ...(options.why !== undefined && { why: options.why.slice(0, MOST_WHY) }),
      ...(backend.device && { gpu: backend.device.name.slice(0, MOST_ABOUT) }),
      host: hostname().slice(0, MOST_ABOUT),
      pid: process.pid,
      name: options.name.slice(0, MOST_ABOUT),
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
        if (header.retry) refusedForNow(header.reason);
        else if (header.identity === undefined) finish(new Refused(header.reason));
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
      case 'rows':
        if (!fetches.answered(header, tensors)) ignore('unasked', 'rows that nobody asked for, or not those');
        break;
      case 'stop':
        finish();
        break;
    }
  }

  /** It is asked to say hello at its next ping, for as long as it takes. */
  function refusedForNow(reason: string): void {
    if (performance.now() - said < SAY_LATER_MS) return;
    said = performance.now();
    log(`the coordinator has no room, trying on: ${reason}`);
  }

  async function join(welcome: Welcome): Promise<void> {
    if (welcome.term === term) {
      // A new connection to the same coordinator.
      rounds = [];
      fetches.repeat();
      return;
    }
    term = welcome.term;
    rounds = [];
    latest = 0;
    fetches.drop();
    const old = context;
    context = null;
    await working;
    old?.free();
    closeFile();
    closeFile = () => {};
    const { worker, file, layout } = welcome;
    const own = file && (await openVisible(options.dataRoot, file, layout, log));
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
      : servedBlocks((blocks) => fetches.ask(blocks, lengthOf(blocks)), layout.dim);
    context = createContext(backend, createStates(backend), rows, layout);
    log(`joined as ${worker}; rows come from ${own ? file.path : 'the coordinator'}`);
    work();
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
    const { round } = header;
    const about = { term: header.term, round };
    const fail = (unit: Unit, error: unknown) => {
      if (error instanceof UnsoundRound) refused.unsound++;
      const mistake = error instanceof UserError;
      const message = String(mistake ? error.message : ((error as Error).stack ?? error)).slice(0, 4000);
      void send({ type: 'failure', ...about, unit, mistake, message });
    };
    giveWay();
    try {
      takeRound(context, header, tensors);
    } catch (error) {
      // Of a round that is over the states may be older than those here: nobody waits for it.
      if (header.units.length && round >= latest) fail(header.units[0], error);
      return;
    }
    const failed = await runUnits(context, header, {
      isOver: () => leaving || header.term !== term || round < latest,
      done(done, results, seconds) {
        const rowsRead = context.rowsRead();
        if (meter) count(meter, done, seconds, rowsRead);
        void send({ type: 'results', ...about, done, seconds, rowsRead, ...memoryNow() }, results);
      },
    });
    if (!failed || failed.error instanceof Superseded || header.term !== term) return;
    if (failed.error instanceof Unable) {
      // The others take over what it had; with none left, the run waits.
      const { error } = failed;
      void send({ type: 'bye' }).then(() => finish(error));
    } else fail(failed.unit, failed.error);
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

function count(meter: Meter, done: Unit[][], seconds: Record<string, number>, rows: number): void {
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
