// deploy/kubernetes: rendered by the real kustomize and checked against the published schemas; runs the commands of its pods.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { dpmesh, freePort, scratch, until } from '../e2e/support.ts';
import {
  assertSurvivesKill,
  begin,
  type DeployCommand,
  localArgs,
  missingTools,
  setUp,
  type TestSetup,
} from './commands.ts';

const folder = scratch();
const PYTHON = pythonOfTools();
const OVERLAYS = ['cpu', 'gpu'];
/** The pods of the first in one object. */
const JOBSET = 'jobset';
/** The first with relays. */
const RELAYS = 'relays';
/** Kubernetes versions: the oldest and newest in common use. */
const VERSIONS = ['1.30', '1.34'];

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds, each checked against its schema.
type Resource = any;

describe('Kubernetes', { skip: missingTools('kustomize') }, () => {
  let at: TestSetup;
  let tree: string;
  const rendered: Record<string, Resource[]> = {};
  const one = (overlay: string, kind: string, name?: string): Resource => {
    const matches = rendered[overlay].filter(
      (each) => each.kind === kind && (name === undefined || each.metadata.name.startsWith(name)),
    );
    assert.equal(matches.length, 1, `${kind} ${name}`);
    return matches[0];
  };
  const podOf = (resource: Resource) => resource.spec.template.spec;

  before(async () => {
    at = await setUp(folder);
    tree = join(at.folder, 'kubernetes');
    cpSync('deploy/kubernetes', tree, { recursive: true });
    const [base, relay] = ['base', 'relay'].map((name) => join(tree, name, 'keys'));
    for (const args of [[base], [base, '--workers', 'relay'], [relay]]) {
      const { code, stderr } = await dpmesh(['keygen', ...args]);
      assert.equal(code, 0, stderr);
    }
    cpSync(join(base, 'relay.key'), join(relay, 'relay.key'));
    cpSync(join(tree, 'cpu'), join(tree, RELAYS), { recursive: true });
    appendFileSync(join(tree, RELAYS, 'kustomization.yaml'), 'components: [../relay]\n');
    for (const overlay of [...OVERLAYS, RELAYS, JOBSET]) {
      const text = execFileSync('kustomize', ['build', join(tree, overlay)], { encoding: 'utf8' });
      writeFileSync(join(at.folder, `${overlay}.yaml`), text);
      rendered[overlay] = parseAllDocuments(text).map((document) => document.toJS());
    }
  });

  for (const version of VERSIONS)
    test(`matches the schemas of ${version}, no unknown field`, {
      skip: missingTools('kubernetes-validate'),
    }, () => {
      for (const overlay of [...OVERLAYS, RELAYS])
        execFileSync('kubernetes-validate', ['--strict', '-k', version, join(at.folder, `${overlay}.yaml`)]);
      // The validator must detect a mistake.
      const wrong = join(at.folder, 'wrong.yaml');
      const text = readFileSync(join(at.folder, 'cpu.yaml'), 'utf8');
      writeFileSync(wrong, text.replace('terminationGracePeriodSeconds', 'terminationGraceSeconds'));
      assert.throws(() =>
        execFileSync('kubernetes-validate', ['--strict', '-k', version, wrong], { stdio: 'ignore' }),
      );
    });

  test('JobSet, runtime and TrainJob match the models of the trainer, no unknown field', {
    skip: trainerModels(),
  }, () => {
    const files = ['runtime', 'trainjob'].map((name) => join(tree, 'trainer', `${name}.yaml`));
    const check = (...paths: string[]) =>
      execFileSync(PYTHON, ['test/deploy/trainer_schemas.py', ...paths], { stdio: 'pipe' }).toString();
    assert.equal(
      check(join(at.folder, `${JOBSET}.yaml`), ...files),
      'JobSet\nClusterTrainingRuntime\nTrainJob\n',
    );
    const wrong = join(at.folder, 'wrong.yaml');
    writeFileSync(wrong, readFileSync(files[0], 'utf8').replace('maxRestarts', 'mostRestarts'));
    assert.throws(() => check(wrong), /mostRestarts/);
  });

  test('a JobSet has the pods of the overlay, ends with its coordinator, and keeps the run', () => {
    const [coordinator, worker] = one(JOBSET, 'JobSet').spec.replicatedJobs;
    const pod = ({ template }: Resource) => template.spec.template.spec;
    const [set, job] = ['StatefulSet', 'Job'].map((kind) => one('cpu', kind));
    assert.deepEqual(pod(worker).containers, podOf(job).containers);
    const { args, ...container } = pod(coordinator).containers[0];
    assert.deepEqual({ ...container, args: podOf(set).containers[0].args }, podOf(set).containers[0]);
    assert.deepEqual(
      rendered[JOBSET].filter(({ kind }) => ['StatefulSet', 'Job'].includes(kind)),
      [],
    );
    assert.deepEqual(one(JOBSET, 'JobSet').spec.successPolicy.targetReplicatedJobs, [coordinator.name]);
    const { secretName } = pod(coordinator).volumes.find(({ name }: Resource) => name === 'secret').secret;
    assert.ok(
      rendered[JOBSET].some(({ kind, metadata }) => kind === 'Secret' && metadata.name === secretName),
    );
    const claim = one(JOBSET, 'PersistentVolumeClaim').metadata.name;
    assert.equal(pod(coordinator).volumes.at(-1).persistentVolumeClaim.claimName, claim);
    // Of a run that has ended, nothing is started again.
    const runs = join(at.folder, 'ended');
    mkdirSync(join(runs, 'run'), { recursive: true });
    writeFileSync(join(runs, 'run/labels.npy'), '');
    writeFileSync(join(runs, 'run/run.json'), '{}');
    execFileSync('sh', ['-c', args[0].replaceAll('/runs', runs)]);
    writeFileSync(join(runs, 'run/run.json'), '{"result": null}');
    assert.throws(
      () => execFileSync('sh', ['-c', args[0].replaceAll('/runs', runs)], { stdio: 'pipe' }),
      /start-or-resume/,
    );
  });

  test('gpu gives each worker a GPU, cpu does not; they differ otherwise only in the image', () => {
    const [cpu, gpu] = OVERLAYS.map((overlay) => podOf(one(overlay, 'Job')).containers[0]);
    assert.equal(gpu.resources.limits['nvidia.com/gpu'], '1');
    assert.deepEqual(gpu.args, [...cpu.args, '--require-gpu']);
    assert.deepEqual(podOf(one('gpu', 'Job')).tolerations, [
      { key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' },
    ]);
    assert.ok(!JSON.stringify(rendered.cpu).includes('nvidia'));
    const rest = (overlay: string) =>
      JSON.stringify(rendered[overlay].filter(({ kind }) => kind !== 'Job')).replaceAll(/"dpmesh:\w+"/g, '');
    assert.equal(rest('gpu'), rest('cpu'));
  });

  test('selectors find their pods, workers find the coordinator before it is ready', () => {
    const [set, deployment] = [one('cpu', 'StatefulSet'), one('cpu', 'Job')];
    const labels = (each: Resource) => each.spec.template.metadata.labels;
    const service = one('cpu', 'Service');
    assert.deepEqual(service.spec.selector, labels(set));
    assert.equal(service.spec.publishNotReadyAddresses, true);
    assert.equal(set.spec.serviceName, service.metadata.name);
    assert.equal(set.spec.replicas, 1);
    assert.ok(podOf(deployment).containers[0].args.includes(`tcp://${service.metadata.name}:5555`));
    assert.deepEqual(one('cpu', 'PodDisruptionBudget').spec.selector.matchLabels, labels(deployment));
    const policy = one('cpu', 'NetworkPolicy', 'dpmesh-coordinator').spec;
    assert.deepEqual(policy.podSelector.matchLabels, labels(set));
    assert.deepEqual(policy.ingress[0].from[0].podSelector.matchLabels, labels(deployment));
    assert.deepEqual(policy.ingress[1].from[0].podSelector, {
      matchExpressions: [{ key: 'app.kubernetes.io/name', operator: 'In', values: ['prometheus'] }],
    });
    const job = podOf(deployment);
    assert.deepEqual(
      [job.restartPolicy, job.containers[0].livenessProbe.tcpSocket.port],
      ['OnFailure', 'metrics'],
    );
    // Ports that the PodMonitor names.
    const { podMetricsEndpoints } = parse(readFileSync(join(tree, 'podmonitor.yaml'), 'utf8')).spec;
    const ports = [set, deployment].flatMap((each) =>
      podOf(each).containers[0].ports.map(({ name }: Resource) => name),
    );
    for (const { port } of podMetricsEndpoints) assert.ok(ports.includes(port), port);
    const { livenessProbe, readinessProbe } = podOf(set).containers[0];
    assert.deepEqual([livenessProbe.httpGet.path, readinessProbe.httpGet.path], ['/healthz', '/readyz']);
    for (const pod of [set, deployment].map(podOf))
      for (const { securityContext, resources } of [...pod.initContainers, ...pod.containers]) {
        assert.ok(resources.requests.cpu && resources.requests.memory);
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.equal(pod.securityContext.runAsNonRoot, true);
      }
  });

  test('with relays: workers know both addresses and have both keys; the ports between them are open', () => {
    const [relay, job] = [one(RELAYS, 'Deployment'), podOf(one(RELAYS, 'Job'))];
    const service = one(RELAYS, 'Service', 'dpmesh-relay');
    assert.deepEqual(service.spec.selector, relay.spec.template.metadata.labels);
    const [connect, keys] = [1, 3].map((i) => job.containers[0].args[i].split(','));
    assert.deepEqual(connect, [`tcp://${service.metadata.name}:5556`, 'tcp://dpmesh-coordinator:5555']);
    const secrets = (names: string[]) =>
      names.flatMap((name) => Object.keys(one(RELAYS, 'Secret', name).data)).map((file) => `/secret/${file}`);
    const names = job.volumes[0].projected.sources.map(({ secret }: Resource) => secret.name);
    assert.deepEqual(job.initContainers[0].command.slice(6), secrets(names));
    assert.deepEqual(
      keys.reverse(),
      secrets(names).map((file) => file.replace('/secret', '/keys/own')),
    );
    const own = podOf(relay);
    assert.deepEqual(
      own.initContainers[0].command.slice(6).sort(),
      secrets([own.volumes[0].secret.secretName]).sort(),
    );
    const componentsOf = (peers: Resource[]) =>
      peers.map(({ podSelector }) => podSelector?.matchLabels?.['app.kubernetes.io/component']);
    const policy = (name: string) => one(RELAYS, 'NetworkPolicy', `dpmesh-${name}`).spec;
    assert.deepEqual(componentsOf(policy('coordinator').ingress[0].from), ['worker', 'relay']);
    assert.deepEqual(componentsOf(policy('relay').ingress[0].from), ['worker']);
    assert.ok(
      policy('worker').egress.some(
        ({ to, ports }: Resource) => componentsOf(to)[0] === 'relay' && ports[0].port === 5556,
      ),
    );
  });

  test('the commands of its pods, with a killed coordinator: the same bytes as a local run; then the pod stays', async () => {
    const [workers, http] = at.ports;
    const mounted = (pod: string) => join(at.folder, pod);
    const replacements = (pod: string) => ({
      '/secret': mounted(`${pod}/secret`),
      '/keys': mounted(`${pod}/keys`),
      '/runs': mounted('runs'),
      '/etc/dpmesh': mounted('etc'),
      'tcp://*:5555': `tcp://127.0.0.1:${workers}`,
      'dpmesh-coordinator:5555': `127.0.0.1:${workers}`,
      ':9464': `:${http}`,
      // Two on this machine.
      '0.0.0.0:9465': '127.0.0.1:0',
      'listen(9464)': `listen(${http})`,
    });
    for (const name of ['runs', 'etc']) mkdirSync(mounted(name));
    // As in the ConfigMap, except for the flags of a small run.
    const map = one('cpu', 'ConfigMap').data['run.yaml'];
    assert.equal(parse(map).data, '/runs/rows.npy');
    writeFileSync(join(mounted('etc'), 'run.yaml'), at.runYaml(join(mounted('runs'), 'rows.npy')));
    cpSync(at.data, join(mounted('runs'), 'rows.npy'));
    const commands: DeployCommand[] = [];
    for (const kind of ['StatefulSet', 'Job']) {
      const pod = podOf(one('cpu', kind));
      mkdirSync(join(mounted(kind), 'keys'), { recursive: true });
      mkdirSync(join(mounted(kind), 'secret'));
      // As the kubelet mounts them: an emptyDir writable by all, a Secret readable by the group.
      chmodSync(join(mounted(kind), 'keys'), 0o2777);
      const { secretName } = pod.volumes.find((volume: Resource) => volume.name === 'secret').secret;
      for (const [file, content] of Object.entries(one('cpu', 'Secret', secretName).data))
        writeFileSync(join(mounted(kind), 'secret', file), Buffer.from(String(content), 'base64'), {
          mode: 0o440,
        });
      for (const { command } of pod.initContainers) {
        const [file, ...args] = localArgs({ argv: command, replacements: replacements(kind) });
        execFileSync(file, args, { timeout: 10_000 });
      }
      const { command, args } = pod.containers[0];
      commands.push({ argv: [...command, ...args], replacements: replacements(kind) });
    }
    const run = join(mounted('runs'), 'run');
    await assertSurvivesKill(commands[0], commands[1], run, at);
    await assertDrained(commands[1], at.folder);
    const again = begin(commands[0], at.folder);
    let answer = '';
    await until('an answer', () => {
      fetch(`http://127.0.0.1:${http}/healthz`).then(
        async (reply) => {
          answer = await reply.text();
        },
        () => {},
      );
      return answer;
    });
    assert.equal(answer, 'finished\n');
    again.kill('SIGKILL');
  });

  test('the nodes of a TrainJob, the first killed and started again: the same bytes as a local run', async () => {
    const runs = join(at.folder, 'nodes');
    const container = nodeOf(tree);
    const secret = join(at.folder, 'node-secret');
    assert.equal((await dpmesh(['keygen', secret])).code, 0);
    const workers = await freePort();
    const http = await freePort();
    const node = (index: number): DeployCommand => {
      const own = join(at.folder, `node-${index}`);
      mkdirSync(own);
      const replacements = {
        ...{
          '/secret': secret,
          '/keys': join(own, 'keys'),
          '/runs': runs,
          '$first:5555': `127.0.0.1:${workers}`,
        },
        ...{ '127.0.0.1:5555': `127.0.0.1:${workers}`, 'tcp://*:5555': `tcp://127.0.0.1:${workers}` },
        '127.0.0.1:9464': `127.0.0.1:${http}`,
      };
      const env = { JOBSET: 'x', WORKERS: '--cpus 1', JOB_COMPLETION_INDEX: String(index) };
      return { argv: [...container.command, '--config', join(runs, 'run.yaml')], replacements, env };
    };
    mkdirSync(runs);
    writeFileSync(join(runs, 'run.yaml'), at.runYaml(at.data));
    const worker = node(1);
    await assertSurvivesKill(node(0), worker, join(runs, 'x'), at);
    await assertDrained(worker, at.folder);
  });
});

/** Asked to end, a worker must not count as completed. */
async function assertDrained(command: DeployCommand, folder: string): Promise<void> {
  const worker = begin(command, folder);
  await until('the worker', () => worker.stderr().includes('connecting to'));
  worker.kill('SIGTERM');
  assert.equal(await worker.ended, 143, worker.stderr());
}

/** The container of a node in the runtime of the trainer. */
function nodeOf(tree: string) {
  const { spec } = parse(readFileSync(join(tree, 'trainer/runtime.yaml'), 'utf8'), { merge: true });
  const pod = spec.template.spec.replicatedJobs[0].template.spec.template.spec;
  return pod.containers[0];
}

/** The Python of .ci/install, which is behind another one on the PATH: it lies beside `kubernetes-validate`. */
function pythonOfTools(): string {
  const folders = process.env.PATH!.split(delimiter);
  const tools = folders.find((folder) => existsSync(join(folder, 'kubernetes-validate')));
  return tools ? join(tools, 'python3') : 'python3';
}

/** Why the models of the trainer cannot be asked, or false. */
function trainerModels(): string | false {
  try {
    execFileSync(PYTHON, ['-c', 'import kubeflow_trainer_api, yaml'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'the Python package kubeflow-trainer-api is not installed (see .ci/install)';
  }
}
