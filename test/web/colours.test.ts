import assert from 'node:assert/strict';
import test from 'node:test';
import { COLOURS, contrast, css, difference, fromHex, mix, palette } from '../../web/colours.ts';

for (const [theme, panel] of [
  ['light', '#ffffff'],
  ['dark', '#181b20'],
] as const) {
  test(`${theme}: fifty colours apart, for the colour-blind too, and seen on the panel`, () => {
    const colours = palette(theme);
    assert.equal(colours.length, COLOURS);
    let [first, all] = [1, 1];
    colours.forEach((a, i) => {
      for (let j = 0; j < i; j++) {
        const apart = difference(a, colours[j]);
        all = Math.min(all, apart);
        if (i < 10) first = Math.min(first, apart);
      }
      assert.ok(contrast(a, fromHex(panel)) >= 1.6, `${css(a)} on ${panel}: ${contrast(a, fromHex(panel))}`);
    });
    console.log(`${theme}: least distance of ten ${first.toFixed(3)}, of fifty ${all.toFixed(3)} (OKLab)`);
    assert.ok(first > 0.07, `of ten: ${first}`);
    assert.ok(all > 0.02, `of fifty: ${all}`);
  });
}

test('the difference counts what the colour-blind see', () => {
  // A red and a green of one lightness: far apart, but not without red or green cones.
  const [red, green] = [fromHex('#b04a3a'), fromHex('#6a7a2a')];
  assert.ok(difference(red, green) < 0.6 * Math.hypot(0.2), String(difference(red, green)));
  assert.equal(difference(red, red), 0);
});

test('contrast and mixtures', () => {
  assert.equal(contrast([0, 0, 0], [255, 255, 255]).toFixed(2), '21.00');
  assert.equal(contrast([9, 9, 9], [9, 9, 9]), 1);
  assert.deepEqual(mix([0, 100, 200], [100, 0, 200], 0.25), [25, 75, 200]);
});
