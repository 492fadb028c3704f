import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyReply } from 'fastify';

/** Where `npm run build` puts the live page, relative to the source and to the compiled file. */
const FOLDER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../../dist/web/' : '../../../web/', import.meta.url),
);

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
};

/** A page or a file of it, ready to send. */
export interface Page {
  type: string;
  body: Buffer;
}

/** Files that have been read: kept once for all clients, as many may be slow to take theirs. */
const files = new Map<string, Page>();

/** Reads a file of the live page by name, without folders; null if it does not exist. */
export async function pageFile(name: string): Promise<Page | null> {
  const type = TYPES[extname(name)];
  if (!type || !/^[a-z0-9][a-z0-9._-]*$/i.test(name)) return null;
  try {
    if (!files.has(name)) {
      const body = await readFile(`${FOLDER}${name}`);
      // Another request may have read it meanwhile.
      if (!files.has(name)) files.set(name, { type, body });
    }
    return files.get(name)!;
  } catch {
    return null;
  }
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** A page with a title and a short text. */
export function plainPage(title: string, text: string): Page {
  const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title></head>`;
  const body = `<body><main><h1>${escaped(title)}</h1><p>${escaped(text)}</p><p><a href="/">Back</a></p></main></body></html>`;
  return { type: TYPES['.html'], body: Buffer.from(`${head}${body}\n`) };
}

export const send = (reply: FastifyReply, { type, body }: Page, code = 200) =>
  reply.code(code).type(type).send(body);
