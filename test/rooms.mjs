// node test/rooms.mjs: which folder may import which (docs/architecture.md), and that no type has the name of another. Fitting writes a run directory, and everything else reads
// one: what shows, names, cuts or serves a finished run never loads the trainer, and what sends tasks to workers knows no cluster.
// Part of `npm run check`.
import { importsOf, packagesOf, sources } from './imports.mjs';

/** A folder, and those that it may import from; its own subfolders too, unless they have a line of their own. `*` is any one name. */
const ROOMS = {
  base: [],
  model: [],
  data: ['model', 'base'],
  proto: ['model', 'base'],
  // The tensors of a checkpoint are written as those of a message.
  run: ['data', 'proto', 'model', 'base'],
  'worker/compute': ['proto', 'model', 'base'],
  'worker/host': ['worker', 'worker/compute', 'data', 'proto', 'base'],
  worker: ['worker/compute', 'data', 'proto', 'model', 'base'],
  // The table of tasks and their entries; how workers compute them; and how the coordinator asks for them, which loads none of that.
  tasks: ['proto', 'model', 'base'],
  'tasks/compute': [
    'tasks/*/compute.ts',
    'tasks',
    'worker',
    'worker/compute',
    'data',
    'proto',
    'model',
    'base',
  ],
  'tasks/*/compute.ts': [
    'tasks/compute',
    'tasks',
    'worker',
    'worker/compute',
    'data',
    'proto',
    'model',
    'base',
  ],
  'tasks/*/ask.ts': ['coordinator/rounds', 'tasks', 'proto', 'model', 'base'],
  // Of a run only the events that it tells of workers.
  'coordinator/rounds': ['run/events.ts', 'proto', 'model', 'base'],
  'coordinator/relay': ['coordinator/rounds', 'worker', 'proto', 'model', 'base'],
  // Programs, which hand the table to what knows no task.
  'worker/main.ts': ['worker', 'worker/compute', 'tasks/compute', 'base'],
  'coordinator/relay/process.ts': [
    'coordinator/relay',
    'tasks',
    'worker',
    'coordinator/rounds',
    'proto',
    'base',
  ],
  // `predict` computes as a worker does.
  'run/passes': ['run', 'tasks', 'worker', 'worker/compute', 'data', 'proto', 'model', 'base'],
  'coordinator/fit': [
    ...['coordinator/rounds', 'tasks/*/ask.ts', 'tasks', 'run/passes'],
    ...['run', 'data', 'proto', 'model', 'base'],
  ],
  'coordinator/update': ['coordinator/fit', 'run/passes', 'run', 'data', 'model', 'base'],
  // What browser, report and terminal draw alike.
  'page/drawing': ['run', 'model', 'base'],
  'page/browser': ['page/drawing', 'run', 'model', 'base/quantities.ts'],
  page: ['page/drawing', 'run', 'data', 'model', 'base'],
  'page/report': ['page', 'page/drawing', 'run', 'data', 'model', 'base'],
  'page/view': ['page', 'page/report', 'page/drawing', 'run', 'data', 'model', 'base'],
  'page/live': [
    ...['coordinator/rounds', 'coordinator/fit'],
    ...['page', 'page/drawing', 'run', 'data', 'proto', 'model', 'base'],
  ],
  library: [
    ...[
      'coordinator/fit',
      'coordinator/rounds',
      'coordinator/update',
      'run/passes',
      'page',
      'page/live',
      'page/report',
    ],
    ...['worker/host', 'worker/compute', 'tasks', 'tasks/*/compute.ts'],
    ...['run', 'data', 'proto', 'model', 'base'],
  ],
  'library/follow': ['library', 'coordinator/update', 'coordinator/fit', 'run', 'data', 'model', 'base'],
  'library/serve': ['library', 'library/follow', 'run/passes', 'run', 'data', 'proto', 'model', 'base'],
  'index.ts': ['library', 'library/serve', 'library/follow', 'run/passes', 'run', 'model', 'base'],
  cli: [
    ...[
      'library',
      'library/serve',
      'library/follow',
      'page/view',
      'page/drawing',
      'run/passes',
      'coordinator/fit',
      'coordinator/relay',
    ],
    ...['worker', 'worker/host', 'tasks', 'tasks/compute', 'run', 'data', 'proto', 'model', 'base'],
  ],
  clients: ['cli', 'run', 'base'],
  dashboards: [],
};
/** Packages that only these folders load. */
const PACKAGES = { '@tensorflow/': ['worker/compute', 'worker/host'] };

const within = (path, room) => {
  const names = path.split('/');
  return room.split('/').every((name, i) => name === names[i] || (name === '*' && i < names.length));
};
const roomOf = (path) =>
  Object.keys(ROOMS)
    .filter((room) => within(path, room))
    .sort((a, b) => b.length - a.length)[0];

const problems = [];
for (const path of sources.keys()) {
  const room = roomOf(path);
  if (!room) {
    problems.push(`${path}: test/rooms.mjs has no line for its folder`);
    continue;
  }
  for (const target of importsOf(path)) {
    const to = roomOf(target);
    if (to !== room && !ROOMS[room].some((may) => may === to || may === target))
      problems.push(`${path} imports ${target}: ${room} may import ${ROOMS[room].join(', ') || 'nothing'}`);
  }
  for (const [prefix, rooms] of Object.entries(PACKAGES))
    if (!rooms.includes(room) && packagesOf(path).some((name) => name.startsWith(prefix)))
      problems.push(`${path} imports a package ${prefix}…, which only ${rooms.join(' and ')} may`);
}
// A name means one thing: no type is exported by two files.
const exported = new Map();
for (const [path, text] of sources)
  for (const [, name] of text.matchAll(/^export (?:interface|type) (\w+)/gm)) {
    const other = exported.get(name);
    if (other && other !== path)
      problems.push(`${path} exports a type ${name}, as ${other} does: name it by what it is`);
    exported.set(name, path);
  }
for (const problem of problems) console.error(problem);
process.exitCode = problems.length ? 1 : 0;
