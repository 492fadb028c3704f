import type { FastifyInstance } from 'fastify';
import type { FoundMap } from './found-map.ts';

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
