// npm run dashboards: writes the JSON that Grafana reads.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generate } from './generate.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
for (const [path, text] of generate()) {
  writeFileSync(root + path, text);
  console.log(path);
}
