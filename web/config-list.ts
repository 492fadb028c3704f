import type { RunInfo } from '../view/api.ts';
import { unsetText } from '../view/config-text.ts';
import { byId, make, setText } from './dom.ts';
import { count, splitCamelCase } from './format.ts';

/** The resolved configuration, the data, and the versions in use. */
export function configList({ config, versions, identity, data, out }: RunInfo): void {
  const rows: [string, unknown][] = [
    ['data', data.path],
    ['rows × dimensions', `${count(data.rows)} × ${data.dim}`],
  ];
  for (const [name, value] of Object.entries(config))
    if (name !== 'data') rows.push([splitCamelCase(name), value ?? unsetText(name, 'automatic')]);
  rows.push(['results', out]);
  byId('config').replaceChildren(
    ...rows.map(([name, value]) => make('div', '', make('dt', '', name), make('dd', '', valueText(value)))),
  );
  const versionTexts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  if (identity) versionTexts.push(identity);
  setText(byId('foot'), versionTexts.join(' · '));
}

function valueText(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
