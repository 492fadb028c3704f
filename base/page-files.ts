import { fileURLToPath } from 'node:url';

/** The folder in which `npm run build` puts the page's files. Its place is relative to this module, which therefore is one of its own. */
export const PAGE_FILES = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/web/' : '../web/', import.meta.url),
);
