import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { RULES } from './expressions.ts';
import { lacks } from './prometheus.ts';

const skip = lacks('promtool');

/** Runs promtool in the folder of the rules, and fails if it does. */
function promtool(...args: string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, {
    cwd: 'dashboards/prometheus',
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
}

test('promtool check rules, check config', { skip }, () => {
  promtool('check', 'rules', '--lint-fatal', ...RULES.map((file) => basename(file)));
  promtool('check', 'config', 'prometheus.yml');
  promtool('check', 'config', 'prometheus.compose.yml');
});

test('promtool test rules: which alerts fire, and which do not', { skip }, () => {
  promtool('test', 'rules', 'recording.test.yml', 'alerts.test.yml');
});

test('each rule has a test, each alert a severity, a summary and a paragraph in dashboards/README.md', () => {
  const [recorded, alerts] = RULES.map((file) =>
    parse(readFileSync(file, 'utf8')).groups.flatMap(({ rules }: { rules: unknown[] }) => rules),
  );
  const tests = ['recording', 'alerts'].map((name) =>
    readFileSync(`dashboards/prometheus/${name}.test.yml`, 'utf8'),
  );
  for (const { record } of recorded) assert.ok(tests[0].includes(`expr: ${record}`), `${record}: no test`);
  const docs = readFileSync('dashboards/README.md', 'utf8');
  for (const { alert, labels, annotations } of alerts) {
    assert.ok(tests[1].includes(alert), `${alert}: no test`);
    assert.match(labels.severity, /^(warning|critical)$/);
    assert.ok(annotations.summary && annotations.description, alert);
    assert.ok(docs.includes(`**${alert}**`), `${alert} is not in dashboards/README.md`);
  }
});
