import { scaleRows } from './rows/scale.ts';

for (const row of scaleRows.filter(({ name }) => process.argv.slice(2).includes(name)))
  console.log(row.name, JSON.stringify(await row.measure()));
process.exit(0);
