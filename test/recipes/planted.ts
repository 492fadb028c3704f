// npx tsx test/recipes/planted.ts [words…]: does the table of recipes find the bugs that it is for? Plants each in turn in the source, trains
// the recipes that should find it, and takes it back. Not a part of CI: each costs some ten seconds. With words only those whose
// descriptions contain one of them.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/** Longer than its recipes take on a busy machine: what is still running then hangs. */
const HANGS_MS = 240_000;

interface Bug {
  what: string;
  file: string;
  /** What is in the file once, and what takes its place. */
  from: string;
  to: string;
  /** The recipes that find it, and where. */
  recipe: string;
}

const BUGS: Bug[] = [
  {
    what: 'sums are added in the order in which they arrive',
    file: 'model/tree.ts',
    from: '      let node = added;\n',
    to: `      const total = nodes.values().next().value;
      if (total && total.from !== added.from) {
        for (const [name, into] of Object.entries(total.sums)) add(into, added.sums[name]);
        return;
      }
      let node = added;\n`,
    recipe: 'plain',
  },
  {
    what: 'what a worker has done before decides which rows a batch has',
    file: 'tasks/steps/compute.ts',
    from: "generator(seed, 'batches', task.epoch, unit.shard)",
    to: "generator(seed, 'batches', task.epoch, unit.shard, context.rowsRead())",
    recipe: 'plain',
  },
  {
    what: 'a checkpoint forgets the first Adam moments of the net',
    file: 'run/checkpoint.ts',
    from: "['net', netTensors(net)]",
    to: "['net', netTensors({ ...net, first: net.first.map((values) => values.map(() => 0)) })]",
    recipe: 'plain',
  },
  {
    what: 'a checkpoint forgets the number of Adam steps',
    file: 'run/checkpoint.ts',
    from: 'adam: [net.steps, subs.steps]',
    to: 'adam: [0, subs.steps]',
    recipe: 'plain',
  },
  {
    what: 'a resumed run trains on the sample before it grew',
    file: 'coordinator/fit/stages/read.ts',
    from: 'if (copies || below !== run.sample.below)',
    to: 'if (copies)',
    recipe: 'growing sample',
  },
  {
    what: 'a resumed run forgets which rows are copies',
    file: 'coordinator/fit/stages/read.ts',
    from: 'if (copies || below !== run.sample.below)',
    to: 'if (below !== run.sample.below)',
    recipe: 'neighbour graph with copies',
  },
  {
    what: 'clusters are numbered anew, but for the outputs of their net',
    file: 'model/state.ts',
    from: 'net: resizeClusteringNet(net, units)',
    to: 'net: order.length === net.shapes.at(-1)![0] ? net : resizeClusteringNet(net, units)',
    recipe: 'plain,neighbour graph of many',
  },
  {
    what: 'the mixture of clusters that are numbered anew keeps its old order',
    file: 'model/state.ts',
    from: 'means: inOrder(mixture.means)',
    to: 'means: mixture.means.slice(0, order.length)',
    recipe: 'plain,update',
  },
  {
    what: 'predict takes no logarithms',
    file: 'run/rows-for-model.ts',
    from: '          logged,\n',
    to: '',
    recipe: 'logarithm',
  },
  {
    what: 'the ONNX model takes no logarithms',
    file: 'data/steps/log.ts',
    from: 'if (!columns.length) return rows;',
    to: 'if (columns.length <= dim) return rows;',
    recipe: 'logarithm',
  },
  {
    what: 'the ONNX model does not move outliers',
    file: 'data/transform.ts',
    from: 'mapInOnnx(g, fenced.moved, before) : fenced.moved;',
    to: 'mapInOnnx(g, raw, before) : raw;',
    recipe: 'outliers',
  },
  {
    what: 'the ONNX model has its columns in another order',
    file: 'data/steps/linear.ts',
    from: 'g.integers([...columns])',
    to: 'g.integers([...columns].reverse())',
    recipe: 'plain',
  },
  {
    what: 'the ONNX model takes zeros for others and others for zeros',
    file: 'data/steps/linear.ts',
    from: "g.op('Not', [g.op('Equal', [values, g.floats(atoms.values)])])",
    to: "g.op('Equal', [values, g.floats(atoms.values)])",
    recipe: 'many zeros',
  },
  {
    what: 'the ONNX model gives places instead of ids',
    file: 'run/passes/onnx-model.ts',
    from: "ids ? g.op('Gather', [g.integers(ids), label]) : label",
    to: "ids && ids.length < 0 ? g.op('Gather', [g.integers(ids), label]) : label",
    recipe: 'update',
  },
  {
    what: 'predict gives places instead of ids',
    file: 'library/predict.ts',
    from: 'joined || !ids ? piece.labels',
    to: 'joined || !ids?.length || ids ? piece.labels',
    recipe: 'update',
  },
  {
    what: 'the outliers of rows are not moved where they are labelled',
    file: 'data/transform.ts',
    from: 'fences && moveOutliers(rows, input, fences)',
    to: 'fences && moveOutliers(rows.slice(), input, fences)',
    recipe: 'outliers,neighbour graph with copies',
  },
  {
    what: 'cells that are unknown are filled in training only',
    file: 'data/transform.ts',
    from: 'if (fill) fillCells(fill, rows, input);',
    to: 'if (fill && rng) fillCells(fill, rows, input);',
    recipe: 'unknown cells',
  },
  {
    what: 'ratings are spread by numbers that no seed decides',
    file: 'data/transform.ts',
    from: 'step * (rng.uniform() - 0.5)',
    to: 'step * (Math.random() - 0.5)',
    recipe: 'ratings',
  },
  {
    what: 'the noise of an encoder depends on when it is drawn',
    file: 'tasks/encoder/compute.ts',
    from: "generator(seed, 'encoder-rows', epoch, shard, from)",
    to: "generator(seed, 'encoder-rows', epoch, shard, from, context.rowsRead())",
    recipe: 'encoder',
  },
  {
    what: 'units of a dead worker are given to nobody',
    file: 'coordinator/rounds/dispatcher.ts',
    from: 'if (round.isMissing(index)) round.waiting.add(index);',
    to: 'if (!round.isMissing(index)) round.waiting.add(index);',
    recipe: 'plain',
  },
  {
    what: 'a relay hands on rows in another order',
    file: 'coordinator/relay/relay.ts',
    from: 'fetches.blocks(blocks, layout)',
    to: 'fetches.blocks([...blocks].reverse(), layout)',
    recipe: 'plain',
  },
  {
    what: 'a relay hands on the texts of other rows',
    file: 'coordinator/relay/relay.ts',
    from: 'fetches.texts(blocks, Number.POSITIVE_INFINITY',
    to: 'fetches.texts(blocks.map(() => blocks[0]), Number.POSITIVE_INFINITY',
    recipe: 'texts',
  },
  {
    what: 'replicates draw their halves by the clock',
    file: 'coordinator/fit/replicates.ts',
    from: "generator(seed, 'replicate', number)",
    to: "generator(seed, 'replicate', number, Math.round(performance.now()))",
    recipe: 'replicates',
  },
  {
    what: 'clusters are numbered as they were in training',
    file: 'coordinator/fit/full-pass.ts',
    from: 'const order = ids ? [...counts.keys()] : bySize(counts);',
    to: 'const order = [...counts.keys()];',
    recipe: 'many initial',
  },
  {
    what: 'columns of noise are not named',
    file: 'run/passes/notes.ts',
    from: 'if (alike.length < mean.length / 2) return [];',
    to: 'if (alike.length < mean.length) return [];',
    recipe: 'noise',
  },
  {
    what: 'the schedule of the paper is the other one',
    file: 'coordinator/fit/preparation/prepare.ts',
    from: "(config.schedule === 'paper' ? paperSchedule : fastSchedule)",
    to: '(config.schedule.length > 9 ? paperSchedule : fastSchedule)',
    recipe: 'paper',
  },
];

const words = process.argv.slice(2);
let missed = 0;
for (const { what, file, from, to, recipe } of BUGS) {
  if (words.length && !words.some((word) => what.includes(word))) continue;
  const source = readFileSync(file, 'utf8');
  if (source.split(from).length !== 2) {
    console.log(`${what}: ${file} does not have once: ${from}`);
    missed++;
    continue;
  }
  const back = () => writeFileSync(file, source);
  process.once('exit', back);
  writeFileSync(
    file,
    source.replace(from, () => to),
  );
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      '--import',
      'tsx',
      '--test',
      '--test-timeout=90000',
      '--test-reporter=tap',
      'test/recipes/recipes.all.test.ts',
    ],
    { encoding: 'utf8', timeout: HANGS_MS, env: { ...process.env, DPMESH_RECIPES: recipe } },
  );
  back();
  process.removeListener('exit', back);
  const failed = stdout
    .split('\n')
    .flatMap((line) => /^ +not ok \d+ - (.*)$/.exec(line)?.[1] ?? [])
    .filter((name, i, all) => all.indexOf(name) === i);
  if (status === 0) missed++;
  console.log(`${what}: ${status === 0 ? 'NOT FOUND' : failed.join('; ') || 'it hangs'} (${recipe})`);
}
process.exitCode = missed ? 1 : 0;
