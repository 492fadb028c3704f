import { hostname } from 'node:os';
import { UserError } from '../../base/user-error.ts';
import type { Layout } from '../../model/layout.ts';
import { prefixed } from '../../proto/codec.ts';
import { type FromCoordinator, MOST_ABOUT, MOST_RELAYS, type WorkUnit } from '../../proto/messages.ts';
import { must } from '../../proto/shapes.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { acceptRound, newestStates, type RoundMessage as Round } from '../../worker/accept-round.ts';
import { createFetches, Superseded } from '../../worker/blocks.ts';
import {
  addressesOf,
  type ConnectionOptions,
  IdentityMismatch,
  newSession,
  openConnection,
  type Request,
} from '../../worker/connection.ts';
import { FailedEverywhere } from '../rounds/scheduler.ts';
import { type Server, type ServerOptions, startServer } from '../rounds/server.ts';

/**
 * A relay: to its coordinator it is one worker of many units, to its workers a coordinator. States come once and are handed on to all of its workers;
 * what these send is added up in the tree of shard numbers (model/tree.ts), which no bit depends on, and goes up as one message.
 */

export interface RelayOptions extends ConnectionOptions, Pick<ServerOptions, 'bind' | 'authenticator'> {
  /** For people. */
  name: string;
  /** Workers that are silent for longer are given up, ms. */
  heartbeatTimeout: number;
}

type Welcome = Extract<FromCoordinator, { type: 'welcome' }>;

/** Requests for rows on their way to the coordinator, which takes no more of one connection. */
const MOST_FETCHES = 16;
/** Of rows that are not known yet. */
const NO_ROWS: Layout = { rows: 1, dim: 1, shards: 1, blockRows: 1, seed: '0' };

/** After so long without a welcome it is said, ms. */
const WELCOME_MS = 5000;
/** Why the connection upward was closed, without an end of the run. */
const [NO_WORKERS, LEAVES] = ['no workers are left', 'asked to leave'] as const;

/**
 * Starts a relay. Its workers may connect at once; it joins the coordinator with its first one, and leaves it with the last. `done` resolves when
 * the run is over, and rejects with a UserError if the coordinator refuses it, or is silent for too long.
 */
export async function startRelay(options: RelayOptions) {
  const { tasks, bind, authenticator, heartbeatTimeout, log } = options;
  /** What the workers have done since the last message upward. */
  let work = { seconds: {} as Record<string, number>, rowsRead: 0 };
  let uplink: Uplink | null = null;
  let leaveNow = () => {};
  const leaving = new Promise<void>((resolve) => {
    leaveNow = resolve;
  });
  let isLeaving = false;
  const session = newSession();
  const server = await startServer({
    ...{ tasks, bind, authenticator, heartbeatTimeout, layout: NO_ROWS, file: null, relay: session, log },
    readBlocks: (blocks) => (uplink ? uplink.rows(blocks) : Promise.reject(new Superseded())),
    sampleOf: (shard, below) => (uplink ? uplink.sample(shard, below) : Promise.reject(new Superseded())),
    textsOf: (blocks) => (uplink ? uplink.texts(blocks) : Promise.reject(new Superseded())),
    emit(event) {
      if (event.type === 'worker' || event.type === 'worker-gone') setImmediate(counted);
    },
    roundListener: {
      results(_, { rowsRead }, tasks) {
        for (const [task, seconds] of tasks) work.seconds[task] = (work.seconds[task] ?? 0) + seconds;
        work.rowsRead += rowsRead;
      },
      roundEnded() {},
    },
  });
  const takeWork = () => {
    const taken = work;
    work = { seconds: {}, rowsRead: 0 };
    return taken;
  };
  const present = () => server.members().filter(({ state }) => state === 'up');

  function counted(): void {
    const size = sizeOf(present());
    if (size) uplink?.resize(size);
    else uplink?.leave(NO_WORKERS);
  }

  async function run(): Promise<void> {
    for (;;) {
      await Promise.race([server.joined(1), leaving]);
      if (isLeaving) return server.close(undefined, true);
      uplink = openUplink({ ...options, session }, server, present, takeWork);
      const { ended, left } = await uplink.over.catch(async (error) => {
        if (error instanceof IdentityMismatch) {
          log(`turned its workers away: ${error.reason}`);
          server.turnAway({ reason: error.reason, identity: error.identity });
          return { ended: undefined, left: NO_WORKERS };
        }
        await server.close(undefined, true);
        throw error;
      });
      uplink = null;
      if (left === NO_WORKERS && !isLeaving) log(`${left}: waiting for one to join`);
      else return server.close(ended, left === LEAVES);
    }
  }

  return {
    /** Where workers connect to. */
    address: server.address,
    done: run(),
    rereadKeys: server.rereadKeys,
    /** Leaves the run; workers look for another coordinator. */
    leave(): void {
      isLeaving = true;
      leaveNow();
      uplink?.leave(LEAVES);
    },
  };
}

type Uplink = ReturnType<typeof openUplink>;

/** The connection to the coordinator, with which it takes part in the run. */
function openUplink(
  options: RelayOptions & { session: string },
  server: Server,
  present: () => Present[],
  takeWork: () => { seconds: Record<string, number>; rowsRead: number },
) {
  const { dispatcher } = server;
  const { name: backend, why } = server.backend()!;
  let size = sizeOf(present());
  const { tasks, session } = options;
  let left: string | null = null;
  const about = {
    name: options.name.slice(0, MOST_ABOUT),
    host: hostname().slice(0, MOST_ABOUT),
    pid: process.pid,
  };
  // Of those that it has now, also where it says hello again.
  const describe = () => ({
    ...{ ...about, identity: server.identity()!, backend, why, workers: size, session },
    relays: [session, ...present().flatMap(({ relays }) => relays)].slice(0, MOST_RELAYS),
  });
  const connection = openConnection(options, describe, receive);
  const fetches = createFetches(connection.send);
  const unwelcome = setTimeout(
    () =>
      options.log(
        `no welcome from ${addressesOf(options.places)} yet: is a coordinator there, or a relay that has one?`,
      ),
    WELCOME_MS,
  );
  let layout = NO_ROWS;
  let hasFile = false;
  let term: number | null = null;
  const newest = newestStates();
  const states = {
    ...newest,
    /** They are those of the next round. */
    put(name: string, version: number, tensors: Tensors): void {
      newest.put(name, version, tensors);
      dispatcher.publish(name, tensors);
    },
  };
  /** The round in progress, and the units of which the results have not been sent yet. */
  let current: { header: Round; units: Set<WorkUnit>; sampled: number[] } | null = null;
  let latest = 0;

  function receive(header: Request, tensors: Tensors): void {
    if (header.type === 'welcome') welcomed(header);
    else if (header.type === 'folder') {
      const { type: _, ...folder } = header;
      server.show(folder).then(
        () => void connection.send({ type: 'sees' }),
        (error: Error) => void connection.send({ type: 'sees', problem: error.message }),
      );
    } else if (header.type === 'round') {
      if (header.term === term) begin(header, tensors);
    } else if (!fetches.answered(header, tensors))
      connection.ignore('unrequested', 'rows that were not requested, or of the wrong length');
  }

  function welcomed(welcome: Welcome): void {
    clearTimeout(unwelcome);
    // A new connection to the same coordinator.
    if (welcome.term === term && Boolean(welcome.file) === hasFile) {
      fetches.repeat();
      return;
    }
    stop();
    fetches.drop();
    states.clear();
    latest = 0;
    ({ term, layout } = welcome);
    hasFile = Boolean(welcome.file);
    options.log(`joined as ${welcome.worker}, with ${size} ${size === 1 ? 'worker' : 'workers'}`);
    server.serve(layout, welcome.file);
  }

  /** Ends the round in progress: its results are not needed any more. */
  function stop(): void {
    current = null;
    dispatcher.abort(new Superseded());
  }

  function begin(header: Round, tensors: Tensors): void {
    let rejected: unknown = null;
    try {
      acceptRound(tasks, { states, layout }, header, tensors);
      must(
        current?.header.round !== header.round || !current.header.sampled === !header.sampled,
        'it has the rows of samples of some of its units only',
      );
    } catch (error) {
      rejected = error;
    }
    // Of a round that is over.
    if (header.round < latest || !header.units.length) return;
    latest = header.round;
    if (rejected) return void report(header, rejected);
    const sampled = current?.header.round === header.round ? current.sampled : [];
    for (const [i, { shard }] of header.units.entries())
      if (header.sampled) sampled[shard] = header.sampled[i];
    if (current?.header.round === header.round && server.extend(header.units)) {
      for (const unit of header.units) current.units.add(unit);
      return;
    }
    // Asked for again, by a coordinator to which the connection was lost: all that is missing is computed once more.
    const again = current?.header.round === header.round ? [...current.units] : [];
    stop();
    const all = new Map([...again, ...header.units].map((unit) => [JSON.stringify(unit), unit]));
    void compute({ ...header, units: [...all.values()] }, sampled);
  }

  /** `sampled`: rows of each shard's sample; grows with the units. */
  async function compute(header: Round, sampled: number[]): Promise<void> {
    const { tasks, units, sum, streams } = header;
    const own = { header, units: new Set(units), sampled };
    current = own;
    const sendSoon = collector(header);
    try {
      const results = await dispatcher.round({
        ...{ tasks, units, sum, streams, ...(header.sampled && { sampled }) },
        ...(!sum && {
          each(unit, found) {
            for (const each of own.units) if (isSame(each, unit)) own.units.delete(each);
            sendSoon([unit], found);
          },
        }),
      });
      if (current !== own) return;
      current = null;
      if (!sum) return;
      const all = [...own.units];
      for (const { from, to, tasks } of results)
        sendSoon(
          all.filter(({ shard }) => shard >= from && shard < to).sort((a, b) => a.shard - b.shard),
          tasks,
        );
    } catch (error) {
      if (current !== own || error instanceof Superseded) return;
      current = null;
      failed(header, error);
    }
  }

  /** Sends results that come at one time in one message. */
  function collector({ term, round }: Round) {
    let waiting: { units: WorkUnit[]; tensors: Tensors }[] = [];
    return (units: WorkUnit[], tasks: Tensors[]) => {
      waiting.push({ units, tensors: prefixed(tasks.map((tensors, i) => [i, tensors])) });
      if (waiting.length > 1) return;
      setImmediate(() => {
        const done = waiting.map(({ units }) => units);
        const memory = present().reduce((sum, one) => sum + one.memory, 0);
        const results = prefixed(waiting.map(({ tensors }, i) => [i, tensors]));
        waiting = [];
        connection.sendResults({ type: 'results', term, round, done, ...takeWork(), memory }, results);
      });
    };
  }

  /** Says that a unit of the round cannot be computed here. What becomes of it is the coordinator's decision. */
  function report({ term, round, units: [unit] }: Round, error: unknown): Promise<void> {
    const { message } = error as Error;
    const local = error instanceof FailedEverywhere;
    const mistake = error instanceof UserError && !local;
    return connection.send({
      ...{ type: 'failure', term, round, unit, mistake, message: message.slice(0, 4000) },
      ...(local && { local }),
    });
  }

  /** No worker here can compute a unit of the round: others may. */
  function failed(header: Round, error: unknown): void {
    const sent = report(header, error);
    if (!(error instanceof UserError) || error instanceof FailedEverywhere)
      connection.end(error as Error, sent);
  }

  const take = limited(MOST_FETCHES);

  return {
    /** How the run has ended, or why the connection was closed. */
    over: connection.done
      .then((ended) => ({ ended, left }))
      .finally(() => {
        clearTimeout(unwelcome);
        stop();
        fetches.drop();
      }),
    /** The rows of these blocks, in the coordinator's file. */
    rows: (blocks: number[]) => take(blocks.join(), () => fetches.blocks(blocks, layout)),
    /** The rows of a shard's sample, if the coordinator has them. */
    sample: (shard: number, below: number) =>
      take(`sample ${shard} ${below}`, () => fetches.sample(shard, below, layout)),
    /** The texts of the rows of these blocks; workers check their labels. */
    texts: (blocks: number[]) =>
      take(`texts ${blocks.join()}`, () => fetches.texts(blocks, Number.POSITIVE_INFINITY, layout)),
    resize(workers: number): void {
      if (workers === size || left !== null || connection.isOver()) return;
      size = workers;
      void connection.send({ type: 'workers', workers });
    },
    leave(why: string): void {
      if (left !== null) return;
      left = why;
      connection.goodbye();
      connection.endInSilence();
    },
  };
}

type Present = ReturnType<Server['members']>[number];
/** Workers, also of relays. */
const sizeOf = (members: Present[]) => members.reduce((sum, { size }) => sum + size, 0);

const isSame = (a: WorkUnit, b: WorkUnit) => a.shard === b.shard && a.from === b.from && a.to === b.to;

/** At most so many requests at a time, and each only once where several workers ask for the same. */
function limited(most: number) {
  const asked = new Map<string, Promise<unknown>>();
  const queue: (() => void)[] = [];
  let running = 0;
  const turn = () => (running++ < most ? Promise.resolve() : new Promise<void>((go) => queue.push(go)));
  return <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const known = asked.get(key) as Promise<T> | undefined;
    if (known) return known;
    const rows = turn()
      .then(ask)
      .finally(() => {
        asked.delete(key);
        running--;
        queue.shift()?.();
      });
    asked.set(key, rows);
    return rows;
  };
}
