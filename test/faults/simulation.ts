import assert from 'node:assert/strict';
import type { Result } from '../../coordinator/rounds/round.ts';
import { createScheduler, type Scheduler } from '../../coordinator/rounds/scheduler.ts';
import { fold, type PartialSum, treeSum } from '../../model/tree.ts';
import { prefixed } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL, type WorkUnit } from '../../proto/messages.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { Task } from '../../tasks/table.ts';
import { randomNumbers } from '../coordinator/fit/support.ts';
import { rulesOf } from '../coordinator/rounds/rules.ts';

// A deterministic simulation around the real scheduler: workers that follow the protocol, connections
// that delay, lose and duplicate messages and are cut, processes that crash, freeze and return, and a coordinator that is
// killed and repeats its round in a new term. Time is simulated. All randomness comes from the seed.

type RoundHeader = Extract<FromCoordinator, { type: 'round' }>;
type WorkerMessage = { header: FromWorker; tensors: Tensors };

/** Bugs planted to test that the simulation detects them. */
export interface PlantedBugs {
  /** A repeated result is counted again. */
  countsTwice?: boolean;
  /** Results of an earlier term are accepted. */
  ignoresTerm?: boolean;
  /** A task fails for the same unit wherever it is computed: that is to end the round, not to go on for ever. */
  failsEverywhere?: boolean;
}

export interface SimulationOptions {
  workers: number;
  shards: number;
  /** Probability of each kind of fault, 0 … 1. */
  loss: number;
  delay: number;
  duplication: number;
  cut: number;
  crash: number;
  freeze: number;
  /** Kill and restart of the coordinator. */
  restart: number;
  /** One worker's units fail, for want of memory: it leaves, and is started again. */
  sick: number;
  bugs?: PlantedBugs;
}

/** Simulation options drawn from a seed: up to 50 workers, and from no faults to very many. */
export function schedule(seed: number): SimulationOptions {
  const { uniform, below } = randomNumbers(seed ^ 0x5eed);
  const some = (most: number) => (uniform() < 0.5 ? 0 : uniform() * most);
  return {
    workers: 1 + (uniform() < 0.1 ? below(50) : below(6)),
    shards: 1 + below(12),
    loss: some(0.2),
    delay: some(0.2),
    duplication: some(0.3),
    cut: some(0.02),
    crash: some(0.01),
    freeze: some(0.01),
    restart: some(0.05),
    sick: some(0.3),
  };
}

interface SimulatedWorker {
  name: string;
  session: string;
  pid: number;
  /** Its current connection. An older one may still deliver messages. */
  peer: string;
  term: number | null;
  readsFile: boolean;
  latest: number;
  states: Map<string, { version: number; value: number }>;
  queue: { header: RoundHeader; tensors: Tensors }[];
  frozenUntil: number;
  /** Messages that have arrived but have not been read. */
  inbox: { header: FromCoordinator; tensors: Tensors }[];
}

/** Heartbeat timeout, ms. */
const TIMEOUT = 5000;
/** The worker whose units fail. */
const SICK = 'n0';
/** Simulated ms without faults in which a round must end. */
const HANG = 120_000;

/** Runs rounds with faults drawn from the seed. Throws if a round hangs or has a wrong result. Returns event counts. */
export async function simulate(seed: number, options: SimulationOptions): Promise<Record<string, number>> {
  const { uniform, below } = randomNumbers(seed);
  const chance = (p: number) => uniform() < p;
  const { bugs = {} } = options;
  let clock = 0;
  let faultsOn = true;
  let names = 0;
  let peers = 0;
  const seen: Record<string, number> = {};
  const note = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  /** Scheduled events. */
  const events: { at: number; run: () => void }[] = [];
  const later = (ms: number, run: () => void) => void events.push({ at: clock + ms, run });
  /** Like TCP: in order while the connection lasts, and nothing after it breaks. */
  const connections = new Map<string, { broken: boolean; down: number; up: number }>();
  function transmit(peer: string, direction: 'down' | 'up', run: () => void): void {
    const connection = connections.get(peer);
    if (!connection || connection.broken) return;
    if (faultsOn && chance(options.loss)) {
      note(`lost ${direction}`);
      connection.broken = true;
      const process = [...processes.values()].find((one) => one.peer === peer);
      if (process) later(below(10_000), () => processes.get(process.name) === process && connect(process));
      return;
    }
    const copies = faultsOn && chance(options.duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const delay = 1 + below(5) + (faultsOn && chance(options.delay) ? below(8000) : 0);
      connection[direction] = Math.max(connection[direction], clock + delay);
      later(connection[direction] - clock, run);
    }
  }

  const processes = new Map<string, SimulatedWorker>();
  let term = 1;
  let scheduler = boot();

  function boot(): Scheduler {
    const ownTerm = term;
    const created = createScheduler({
      tasks: rulesOf(['a', 'b'], { v: 1 }),
      layout: { rows: 100, dim: 1, shards: options.shards, blockRows: 16, seed: '0' },
      file: { path: '/rows.npy', firstBlock: '' },
      term,
      identity: 'sim/1',
      heartbeatTimeout: TIMEOUT,
      now: () => clock,
      emit: () => {},
      log: () => {},
      send(peer, header, tensors = {}) {
        transmit(peer, 'down', () => {
          const process = [...processes.values()].find((one) => one.peer === peer);
          if (!process || ownTerm !== term) return;
          process.inbox.push({ header, tensors });
          read(process);
        });
      },
    });
    return bugs.countsTwice ? withDoubleCounting(created) : created;
  }

  /** Sends to the coordinator over the current connection of the worker. */
  function sendToCoordinator(process: SimulatedWorker, message: FromWorker, tensors: Tensors = {}): void {
    const { peer } = process;
    transmit(peer, 'up', () => deliver(peer, { header: message, tensors }));
  }

  function deliver(peer: string, { header, tensors }: WorkerMessage): void {
    if (bugs.ignoresTerm && 'term' in header) header = { ...header, term };
    scheduler.receive(peer, header, tensors);
  }

  function connect(process: SimulatedWorker): void {
    // Messages of the old connection may arrive after those of the new one.
    process.peer = `p${peers++}`;
    connections.set(process.peer, { broken: false, down: 0, up: 0 });
    hello(process);
  }

  function hello(process: SimulatedWorker): void {
    const identity = { backend: 'sim', host: 'h', pid: process.pid, name: process.name };
    sendToCoordinator(process, {
      type: 'hello',
      protocol: PROTOCOL,
      identity: 'sim/1',
      session: process.session,
      ...identity,
    });
  }

  function start(name: string): void {
    const number = names++;
    const process: SimulatedWorker = {
      name,
      session: number.toString(16).padStart(32, '0'),
      pid: number,
      peer: '',
      term: null,
      readsFile: true,
      latest: 0,
      states: new Map(),
      queue: [],
      frozenUntil: 0,
      inbox: [],
    };
    processes.set(name, process);
    connect(process);
    const ping = () => {
      if (processes.get(name) !== process) return;
      if (clock >= process.frozenUntil) sendToCoordinator(process, { type: 'ping' });
      later(1000, ping);
    };
    later(1000, ping);
  }

  function read(process: SimulatedWorker): void {
    if (clock < process.frozenUntil) return;
    for (let next = process.inbox.shift(); next; next = process.inbox.shift()) {
      const { header, tensors } = next;
      if (header.type === 'who') hello(process);
      else if (header.type === 'refuse') {
        note('refused');
        restartLater(process);
        return;
      } else if (header.type === 'welcome') {
        process.queue = [];
        const readsFile = header.file !== null;
        if (header.term !== process.term) process.latest = 0;
        else if (readsFile !== process.readsFile) note('file withheld');
        if (header.term !== process.term || readsFile !== process.readsFile) process.states.clear();
        process.readsFile = readsFile;
        process.term = header.term;
      } else if (header.type === 'round' && header.term === process.term) {
        process.latest = Math.max(process.latest, header.round);
        process.queue.push({ header, tensors });
        if (process.queue.length === 1) later(1 + below(30), () => work(process));
      }
    }
  }

  /** Computes all units of one message of a round, summed if requested. */
  function work(process: SimulatedWorker): void {
    if (processes.get(process.name) !== process) return;
    if (clock < process.frozenUntil) {
      later(process.frozenUntil - clock, () => work(process));
      return;
    }
    const next = process.queue.shift();
    if (!next) return;
    const { header, tensors } = next;
    for (const { name, version } of header.states)
      process.states.set(name, { version, value: tensors[`${name}/value`].data[0] });
    if (faultsOn && process.name === SICK && chance(options.sick)) {
      note('failed');
      const { term, round, units } = header;
      const failure = { term, round, unit: units[below(units.length)], mistake: chance(0.3) };
      const local = failure.mistake ? {} : { local: true };
      sendToCoordinator(process, { type: 'failure', ...failure, ...local, message: 'out of memory' });
      if (!failure.mistake) restartLater(process);
      return;
    }
    const hopeless = bugs.failsEverywhere && header.units.find(({ shard }) => shard === 0);
    if (hopeless) {
      const failure = { term: header.term, round: header.round, unit: hopeless, mistake: false };
      sendToCoordinator(process, { type: 'failure', ...failure, message: 'Error: a bug' });
      restartLater(process);
      return;
    }
    const computed: ComputedUnits = [];
    let stack: PartialSum[] = [];
    const flush = () => {
      for (const { from, to, sums } of stack)
        computed.push({
          units: header.units.filter(({ shard }) => shard >= from && shard < to),
          value: sums.v[0],
        });
      stack = [];
    };
    let hasStates = true;
    for (const unit of header.units) {
      if (header.round < process.latest) break;
      // If a state was lost on its way, the worker cannot continue and reconnects.
      hasStates &&= header.uses.every(({ name, version }) => process.states.get(name)?.version === version);
      if (!hasStates) break;
      const value = unitValue(
        unit,
        header.uses.map(({ name }) => process.states.get(name)!.value),
      );
      if (header.sum)
        fold(stack, { from: unit.shard, to: unit.shard + 1, sums: { v: Float64Array.of(value) } });
      else computed.push({ units: [unit], value });
      if (chance(0.3)) flush();
    }
    flush();
    if (!hasStates) connect(process);
    else if (computed.length)
      // A long task: the connection and even the coordinator may change in the meantime.
      later(chance(0.2) ? below(6000) : 1, () => {
        if (processes.get(process.name) === process)
          sendToCoordinator(process, resultsOf(header, computed), tensorsOf(computed));
      });
    if (process.queue.length) later(1 + below(30), () => work(process));
  }

  function injectFaults(): void {
    for (const process of [...processes.values()]) {
      if (chance(options.cut)) {
        note('cut');
        connect(process);
      }
      if (chance(options.freeze)) {
        note('frozen');
        process.frozenUntil = clock + below(12_000);
        later(process.frozenUntil - clock, () => {
          read(process);
        });
      }
      if (chance(options.crash)) {
        note('crashed');
        if (chance(0.5)) scheduler.registry.ended(process.pid, 'h', 'killed', 'killed');
        restartLater(process);
      }
    }
  }

  function restartLater(process: SimulatedWorker): void {
    if (processes.get(process.name) !== process) return;
    processes.delete(process.name);
    later(below(3000), () => start(process.name));
  }

  /** Runs the next event. */
  function step(): void {
    let first = 0;
    for (let i = 1; i < events.length; i++) if (events[i].at < events[first].at) first = i;
    const [{ at, run }] = events.splice(first, 1);
    clock = Math.max(clock, at);
    run();
  }

  for (let i = 0; i < options.workers; i++) start(`n${i}`);
  let killed = false;
  const tick = () => {
    scheduler.tick();
    if (faultsOn) injectFaults();
    killed ||= faultsOn && chance(options.restart);
    later(100, tick);
  };
  later(100, tick);

  /** The states and units of each round, which stay the same however often the run is resumed. */
  const plan = Array.from({ length: 5 }, () => {
    const sum = chance(0.6);
    const streams = !sum && chance(0.5);
    return {
      v: below(1000),
      w: below(1000),
      sum,
      streams,
      units: Array.from({ length: options.shards }, (_, shard) => shard).flatMap((shard) =>
        Array.from({ length: streams ? 1 + below(4) : 1 }, (_, from) => ({ shard, from, to: from + 1 })),
      ),
    };
  });
  /** When faults end, after which all rounds must complete. */
  const faultsEnd = 5000 + below(60_000);
  for (let number = 0; number < plan.length; ) {
    const { v, w, sum, streams, units } = plan[number];
    const { dispatcher } = scheduler;
    dispatcher.publish('a', { value: nd(Float64Array.of(v)) });
    dispatcher.publish('b', { value: nd(Float64Array.of(w)) });
    let results: Result[] | null = null;
    let failure: unknown = null;
    dispatcher.round({ tasks: [TASK], units, streams, sum }).then(
      (completed) => (results = completed),
      (error) => (failure = error),
    );
    await null;
    killed = false;
    while (!results && !failure && !killed) {
      faultsOn = clock < faultsEnd;
      assert.ok(clock < faultsEnd + HANG, `seed ${seed}: round ${number} hangs`);
      step();
      await null;
    }
    assert.equal(failure, null, `seed ${seed}: round ${number} failed: ${failure}`);
    if (killed) {
      note('coordinator killed');
      term++;
      scheduler = boot();
      for (const process of processes.values()) later(below(2000), () => connect(process));
      // It resumes from its last checkpoint, which may be one or two rounds old.
      number = Math.max(0, number - below(3));
      continue;
    }
    const expected = units.map((unit) => unitValue(unit, [v, w]));
    const nodes: Float64Array[] = [];
    for (const { from, tasks } of (results as Result[] | null) ?? [])
      nodes[from] = tasks[0].v.data as Float64Array;
    if (sum) assert.equal(treeSum(nodes)[0], treeSum(expected.map((value) => [value]))[0], `seed ${seed}`);
    else
      assert.deepEqual(
        Array.from(nodes, ([value]) => value),
        expected,
        `seed ${seed}`,
      );
    number++;
  }
  for (const [what, count] of Object.entries(scheduler.counts))
    if (count) seen[what] = (seen[what] ?? 0) + count;
  return seen;
}

type ComputedUnits = { units: WorkUnit[]; value: number }[];

const resultsOf = ({ term, round }: RoundHeader, computed: ComputedUnits): FromWorker => ({
  type: 'results',
  term,
  round,
  done: computed.map(({ units }) => units),
  seconds: {},
  rowsRead: 0,
  memory: 0,
});
const tensorsOf = (computed: ComputedUnits): Tensors =>
  prefixed(computed.map(({ value }, i) => [`${i}/0`, { v: nd(Float64Array.of(value)) }]));

const TASK: Task = { task: 'cell-sums', groups: 'all', cells: [0], leaves: 1, vectors: 'a' };

/** The result of a unit: a function of the unit and the states alone, with enough bits to be unique. */
const unitValue = ({ shard, from }: WorkUnit, states: number[]) =>
  Math.abs(Math.sin(1 + shard * 17 + from * 3 + states.reduce((sum, state) => sum * 31 + state, 7))) * 1e3;

/** The planted bug: without the check for repeated results, one that arrives twice is summed twice. */
function withDoubleCounting(scheduler: Scheduler): Scheduler {
  const { dispatcher } = scheduler;
  const extra = new Map<number, Float64Array[]>();
  const result = dispatcher.result.bind(dispatcher);
  dispatcher.result = (worker, of, tensors) => {
    const verdict = result(worker, of, tensors);
    if (verdict === 'late') {
      const value = tensors['0/v'] ?? Object.values(tensors)[0];
      extra.set(of.round, [...(extra.get(of.round) ?? []), value.data as Float64Array]);
    }
    return verdict;
  };
  const round = dispatcher.round.bind(dispatcher);
  let rounds = 0;
  dispatcher.round = async (spec) => {
    const id = ++rounds;
    const results = await round(spec);
    for (const value of extra.get(id) ?? []) {
      const [first] = results;
      const data = first.tasks[0].v.data as Float64Array;
      first.tasks[0] = { v: nd(Float64Array.of(data[0] + value[0])) };
    }
    return results;
  };
  return scheduler;
}
