import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { UserError } from '../base/user-error.ts';
import { MAP_TILES, openMap, type SavedMap } from '../run/map-tiles.ts';
import type { RunFile } from '../run/run-file.ts';
import { runFiles } from '../run/run-files.ts';
import { assertNoLink } from '../run/run-path.ts';
import { readSavedClusters } from '../run/saved-clusters.ts';
import { readSavedTree } from '../run/saved-tree.ts';
import { aboutMap, type WholeMap } from './drawing/map/whole-map.ts';

/** The map of all rows, its density, and its tiles one by one; `found`: null where there is none, or not yet. */
export function addMap(app: FastifyInstance, found: () => Promise<FoundMap | 'later' | null>): void {
  app.get('/api/map', async (_request, reply) => {
    const map = await found();
    return map === 'later' ? reply.code(202).send() : (map?.about ?? reply.code(204).send());
  });
  const bytes = (path: string, read: (map: FoundMap, number: number) => Uint8Array | null) =>
    app.get<{ Querystring: { tile?: string } }>(path, async ({ query }, reply) => {
      const map = await found();
      const content = map && map !== 'later' && read(map, Number(query.tile ?? Number.NaN));
      if (!content) return reply.code(404).send({ error: 'there is no such part of a map' });
      return reply.type('application/octet-stream').send(Buffer.from(content));
    });
  bytes('/api/map/density', ({ saved }) => saved.density());
  bytes('/api/map/rows', ({ about, saved }, tile) => (about.index.tiles[tile] ? saved.tile(tile) : null));
}

/** The map of all rows of a finished run, as its page, report and export read it. */

/** What run.json says of the map. */
export type MappedRunFile = Pick<RunFile, 'data' | 'result' | 'ids' | 'files'>;

export interface FoundMap {
  about: WholeMap;
  saved: SavedMap;
}

/** The map of all rows of a finished run, whose tiles are made if they are missing, or else, unless `isToBeMade`, there is none yet; null of a run without one. UserError if files are damaged, or cannot be written. */
export async function wholeMapOf(
  path: string,
  { data, result, ids, files }: MappedRunFile,
  isToBeMade = true,
): Promise<FoundMap | null> {
  if (!result) return null;
  assertNoLink(join(path, MAP_TILES));
  const saved = await openMap({ run: path, rows: data.rows, k: result.k, ids }, isToBeMade);
  if (!saved) return null;
  const own = runFiles(path, files);
  const about = aboutMap(saved.index, readSavedTree(own), readSavedClusters(own), ids);
  return { about, saved };
}

/** The same for a page or report, which can do without; the reason goes to the notes. */
export async function sampledMapOf(path: string, run: RunFile, notes: string[]) {
  try {
    const found = await wholeMapOf(path, run);
    return found && { about: found.about, sample: found.saved.sample(), density: found.saved.density() };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    notes.push(`${error.message}: the map of all rows is left out`);
    return null;
  }
}
