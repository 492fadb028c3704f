import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { directoryOf, readManifest } from '../follow/manifest.ts';
import type { ServeMetrics } from './metrics.ts';
import { loadModel, type Model } from './model.ts';

/** The models of a server, by name, each the newest of a run or of a follow. */

/** Time between two looks at the files of a model, ms. */
const LOOK_MS = 1000;

interface Slot {
  name: string;
  /** A run directory, or the folder of a follow. */
  path: string;
  model: Model;
  /** What the files were like when it was loaded. */
  stamp: string;
  /** Why a newer one could not be loaded. */
  problem: string | null;
}

export type Models = Awaited<ReturnType<typeof openModels>>;

/** Loads the models of these paths. UserError for two of the same name, or a run that is not finished. */
export async function openModels(
  paths: readonly string[],
  { metrics, log }: { metrics: ServeMetrics; log(line: string): void },
) {
  const names = new Map<string, string>();
  for (const path of paths) {
    const name = basename(path);
    const other = names.get(name);
    if (other !== undefined)
      throw new UserError(`${other} and ${path} would both be the model ${name}: rename one of the folders`);
    names.set(name, path);
  }
  const slots = new Map<string, Slot>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  try {
    for (const [name, path] of names)
      slots.set(name, { name, path, ...(await load(name, path)), problem: null });
  } catch (error) {
    close();
    throw error;
  }

  async function load(name: string, path: string) {
    // Before anything is read: what changes meanwhile is seen the next time.
    const stamp = stampOf(path);
    const { labelled, loaded } = metrics.of(name);
    const model = await loadModel(runAt(path), { labelled, log });
    loaded(model.waiting);
    return { model, stamp };
  }

  async function renew(slot: Slot): Promise<void> {
    try {
      if (stampOf(slot.path) === slot.stamp) return;
      const before = slot.model;
      Object.assign(slot, await load(slot.name, slot.path), { problem: null });
      before.retire();
      if (isClosed) slot.model.retire();
      log(`${slot.name}: now the model of ${slot.model.run}`);
    } catch (error) {
      // Tried again, as its files may still be on their way.
      const problem = (error as Error).message;
      if (problem === slot.problem) return;
      slot.problem = problem;
      metrics.of(slot.name).failed();
      log(`dpmesh: warning: ${slot.name} stays the model that it was: ${problem}`);
    }
  }

  async function look(): Promise<void> {
    for (const slot of slots.values()) await renew(slot);
    if (!isClosed) timer = setTimeout(look, LOOK_MS).unref();
  }

  return {
    list: () => [...slots.values()].map(({ name, model }) => ({ name, run: model.run })),
    get: (name: string): Model | undefined => slots.get(name)?.model,
    /** From now on newer models take the place of those that they replace. */
    watch(): void {
      timer = setTimeout(look, LOOK_MS).unref();
    },
    close,
  };

  function close(): void {
    isClosed = true;
    clearTimeout(timer);
    for (const { model } of slots.values()) model.retire();
  }
}

/** The run directory of a model. */
function runAt(path: string): string {
  const manifest = readManifest(path);
  return manifest ? directoryOf(path, manifest.run, manifest.updates) : path;
}

/** Changes when a file that says which model there is has been replaced. */
function stampOf(path: string): string {
  const stamps = ['run.json', 'follow.json'].map((name) => {
    const { ino, mtimeMs, size } = statSync(join(path, name), { throwIfNoEntry: false }) ?? {};
    return `${ino} ${mtimeMs} ${size}`;
  });
  return stamps.join();
}
