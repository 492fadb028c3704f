// Every expression in the committed dashboards and rules, and what stands in it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnnotationQuery, Dashboard, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import { parse } from 'yaml';
import { FOLDER } from '../../dashboards/generate.ts';

export const RULES = ['recording', 'alerts'].map((name) => `dashboards/prometheus/${name}.rules.yml`);

/** The committed dashboards by name. */
export const boards = (): Map<string, Dashboard> =>
  new Map(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [name.replace('.json', ''), JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))]),
  );

type Target = { expr: string; refId?: string; instant?: boolean; datasource?: { uid?: string } };
export const targets = (panel: Panel) => (panel.targets ?? []) as unknown as Target[];
export const isRow = (panel: Panel | RowPanel): panel is RowPanel => panel.type === 'row';
/** All panels but rows, also those inside collapsed rows. */
export const panels = (board: Dashboard): Panel[] =>
  (board.panels ?? []).flatMap((panel) => (isRow(panel) ? panel.panels : [panel]));

export interface Asked {
  where: string;
  expr: string;
  /** `values`: of the label in `label`. `silent`: must have nothing to say of a healthy run. */
  as: 'range' | 'instant' | 'values' | 'silent';
  label?: string;
}

/** What Grafana would ask of Prometheus, before variables are filled in. */
export function ofBoard(name: string, board: Dashboard): Asked[] {
  const ofPanels = panels(board).flatMap((panel) =>
    targets(panel).map(
      (target): Asked => ({
        where: `${name}: ${panel.title} ${target.refId}`,
        expr: target.expr,
        as: target.instant ? 'instant' : 'range',
      }),
    ),
  );
  const ofMarks = (board.annotations.list ?? []).map(
    (mark: AnnotationQuery): Asked => ({
      where: `${name}: marks ${mark.name}`,
      expr: mark.expr!,
      as: 'range',
    }),
  );
  const ofVariables = (board.templating.list ?? [])
    .filter(({ type }) => type === 'query')
    .map((variable): Asked => {
      const { query } = variable.query as { query: string };
      const [, expr, label] = /^label_values\((.+), *(\w+)\)$/s.exec(query) ?? [];
      if (!label) throw new Error(`not understood: variable ${variable.name}: ${query}`);
      return { where: `${name}: variable ${variable.name}`, expr, label, as: 'values' };
    });
  return [...ofPanels, ...ofMarks, ...ofVariables];
}

/** What Prometheus itself evaluates; a recording rule is also asked for by its own name. */
export function ofRules(file: string, text: string): Asked[] {
  const { groups } = parse(text) as {
    groups: { rules: { record?: string; alert?: string; expr: string }[] }[];
  };
  return groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ record, alert, expr }): Asked[] =>
      record
        ? [
            { where: `${file}: ${record}`, expr, as: 'instant' },
            { where: `${file}: ${record}, as recorded`, expr: record, as: 'instant' },
          ]
        : [{ where: `${file}: ${alert}`, expr, as: 'silent' }],
    );
}

export const everything = (): Asked[] => [
  ...[...boards()].flatMap(([name, board]) => ofBoard(name, board)),
  ...RULES.flatMap((file) => ofRules(file, readFileSync(file, 'utf8'))),
];

/** Puts values where Grafana puts them. Fails if a variable is left. */
export function fill(expr: string, values: Record<string, string>): string {
  const filled = expr.replace(/\$(\w+)|\$\{(\w+)\}/g, (whole, plain, braced) => {
    const value = values[plain ?? braced];
    if (value === undefined) throw new Error(`no value for ${whole} in ${expr}`);
    return value;
  });
  return filled;
}

const AGGREGATIONS = /^(sum|avg|min|max|count|group|stddev|stdvar|topk|bottomk|quantile|count_values)$/;
const WORDS = /^(and|or|unless|bool|offset|atan2|inf|nan)$/i;
const LISTS = /^(by|without|on|ignoring|group_left|group_right)$/;

/** The vector selectors of an expression, without their ranges: `name`, or `name{…}`. */
export function selectors(expr: string): string[] {
  const found: string[] = [];
  let rest = expr;
  const eat = (pattern: RegExp) => {
    const match = pattern.exec(rest)?.[0];
    if (match !== undefined) rest = rest.slice(match.length);
    return match;
  };
  const braces = /^\s*\{(?:[^"'}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*\}/;
  while (rest) {
    if (eat(/^\s+|^"(?:[^"\\]|\\.)*"|^'(?:[^'\\]|\\.)*'|^\[[^\]]*\]|^\d[\w.]*/) !== undefined) continue;
    const name = eat(/^[a-z_:][\w:]*/i);
    if (name === undefined) {
      const nameless = eat(braces);
      if (nameless) found.push(nameless);
      else rest = rest.slice(1);
    } else if (LISTS.test(name)) eat(/^\s*\([^)]*\)/);
    else if (!WORDS.test(name) && !AGGREGATIONS.test(name) && !/^\s*\(/.test(rest)) {
      found.push(name + (eat(braces) ?? '').trim());
    }
  }
  return [...new Set(found)];
}
