import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { FOLDER, generate } from '../../dashboards/generate.ts';
import { boards, isRow, panels, queriesOfBoard, targets } from './expressions.ts';

test('the committed JSON is what the sources generate', () => {
  const generated = generate();
  const committed = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  assert.deepEqual(committed.map((name) => `${FOLDER}/${name}`).sort(), [...generated.keys()].sort());
  for (const [path, text] of generated) {
    assert.ok(readFileSync(path, 'utf8') === text, `${path} is not up to date: npm run dashboards`);
  }
});

for (const [name, board] of boards()) {
  test(`${name}: identity, data source and variables`, () => {
    assert.ok(Number.isInteger(board.schemaVersion) && board.schemaVersion >= 36);
    assert.match(board.uid!, /^dpmesh-\w{4,}$/);
    assert.match(board.title!, /^dpmesh \/ /);
    assert.deepEqual(board.tags, ['dpmesh']);
    const variables = board.templating.list!;
    assert.deepEqual(
      variables.slice(0, 2).map((variable) => [variable.name, variable.type]),
      [
        ['datasource', 'datasource'],
        ['run', 'query'],
      ],
    );
    const queries = queriesOfBoard(name, board);
    const used = new Set(
      queries.flatMap(({ expr }) => Array.from(expr.matchAll(/\$(\w+)/g), ([, name]) => name)),
    );
    const known = [
      'datasource',
      '__interval',
      '__rate_interval',
      ...variables.map((variable) => variable.name),
    ];
    for (const variable of used) assert.ok(known.includes(variable), `$${variable} is not defined`);
    for (const { name } of variables.slice(1)) assert.ok(used.has(name), `$${name} is not used`);
    for (const { expr, where } of queries) {
      if (!where.endsWith('variable run'))
        assert.match(expr, /run=~"\$run"/, `${where} does not select runs`);
    }
    const sources = [
      ...panels(board).flatMap((panel) => [
        panel.datasource,
        ...targets(panel).map((target) => target.datasource),
      ]),
      ...(board.annotations.list ?? []).map((annotation) => annotation.datasource),
      ...variables.slice(1).map((variable) => variable.datasource),
    ];
    for (const source of sources) assert.equal(source?.uid, '$' + '{datasource}');
  });

  test(`${name}: every panel has a title, a description, a unit and thresholds`, () => {
    const titles = new Set<string>();
    for (const { title, description, fieldConfig, ...panel } of panels(board)) {
      assert.ok(title && title.length <= 6 * panel.gridPos!.w, `${title}: too long for its width`);
      titles.add(`${panel.type} ${title}`);
      assert.ok(
        description && description.length >= 20 && /[.)]$/.test(description),
        `${title}: description`,
      );
      assert.ok(fieldConfig?.defaults.unit, `${title}: unit`);
      // Grafana would write 1,234 clusters as 1.23 K.
      if (fieldConfig.defaults.decimals === 0)
        assert.notEqual(fieldConfig.defaults.unit, 'short', `${title}: an integer`);
      const steps = fieldConfig.defaults.thresholds?.steps ?? [];
      assert.equal(steps[0]?.value, null, `${title}: thresholds start at the lowest value`);
      assert.ok(steps.every(({ color }) => color));
      const letters = targets(panel).map(({ refId }) => refId);
      assert.ok(letters.length && new Set(letters).size === letters.length, `${title}: queries`);
      assert.ok(targets(panel).every(({ expr }) => expr));
    }
    assert.equal(titles.size, panels(board).length, 'titles');
  });

  test(`${name}: the grid has no gaps or overlaps and is legible at 1,280 px`, () => {
    const all = board.panels!.flatMap((panel) => (isRow(panel) ? [panel, ...panel.panels] : [panel]));
    const ids = all.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'ids');
    const taken = new Map<string, number>();
    for (const { id, gridPos, type } of all) {
      const { x, y, w, h } = gridPos!;
      assert.ok(x >= 0 && x + w <= 24, `panel ${id} leaves the grid`);
      assert.ok(type === 'row' || type === 'stat' ? w >= 4 : w >= 8, `panel ${id} is too narrow`);
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          assert.ok(!taken.has(`${i},${j}`), `panel ${id} overlaps panel ${taken.get(`${i},${j}`)}`);
          taken.set(`${i},${j}`, id!);
        }
      }
    }
    const height = Math.max(...all.map(({ gridPos }) => gridPos!.y + gridPos!.h));
    assert.equal(taken.size, 24 * height, 'a gap in the grid');
  });
}

test('dashboard ids are unique', () => {
  const ids = [...boards().values()].map(({ uid }) => uid);
  assert.equal(new Set(ids).size, ids.length);
});

test('provisioning: one data source, one dashboard folder, and the scrape interval that Grafana assumes', () => {
  const read = (path: string) => parse(readFileSync(`dashboards/${path}`, 'utf8'));
  const { datasources } = read('grafana/provisioning/datasources/prometheus.yaml');
  const { providers } = read('grafana/provisioning/dashboards/dpmesh.yaml');
  assert.equal(datasources.length, 1);
  assert.equal(datasources[0].url, '$' + '{DPMESH_PROMETHEUS}');
  assert.equal(providers[0].options.path, '$' + '{GF_PATHS_PROVISIONING}/dashboards');
  for (const name of ['prometheus', 'prometheus.compose']) {
    assert.equal(read(`prometheus/${name}.yml`).global.scrape_interval, datasources[0].jsonData.timeInterval);
  }
});

const COMPOSE = 'deploy/compose.yaml';
test('compose mounts these folders and sets the variables they use', {
  skip: !existsSync(COMPOSE) && `${COMPOSE} is missing`,
}, () => {
  const { services } = parse(readFileSync(COMPOSE, 'utf8'));
  const { prometheus, grafana, coordinator } = services;
  assert.ok(grafana.volumes.includes('../dashboards/grafana/provisioning:/etc/grafana/provisioning:ro'));
  assert.equal(grafana.environment.DPMESH_PROMETHEUS, 'http://prometheus:9090');
  assert.ok(prometheus.volumes.includes('../dashboards/prometheus:/etc/prometheus:ro'));
  assert.ok(prometheus.command.includes('--config.file=/etc/prometheus/prometheus.compose.yml'));
  assert.match(coordinator.command.join(' '), /--http 0\.0\.0\.0:9464/);
});
