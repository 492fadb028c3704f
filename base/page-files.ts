import { fileURLToPath } from 'node:url';

/** The folder in which `npm run build` puts the page's files. Apart, as it is found from where this module lies. */
export const PAGE_FILES = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/web/' : '../web/', import.meta.url),
);
