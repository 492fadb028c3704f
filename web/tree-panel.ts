import type { MergeTree } from '../view/api.ts';
import type { ModelView } from './analyse.ts';
import { cutText, inCut, nextSplitText } from './cut.ts';
import { type DendrogramInput, dendrogram, shownJoins } from './dendrogram.ts';
import { byId, setText } from './dom.ts';

export interface TreePanel {
  /** Shows the tree of a view, if it has one. Returns the view in the colours of the cut that the dial is at. */
  show(view: ModelView): ModelView;
}

/** The tree of merges once the run has one, with a dial from 1 to K that cuts it. `turned` is called when the dial was moved. */
export function treePanel(turned: () => void): TreePanel {
  const panel = byId('tree');
  const dial = byId<HTMLInputElement>('dial');
  const box = byId('tree-scroll');
  const splits = byId('next-split');
  let drawn: Omit<DendrogramInput, 'width'> | null = null;

  dial.oninput = turned;
  new ResizeObserver(draw).observe(box);

  function draw() {
    if (drawn && box.clientWidth) box.replaceChildren(dendrogram({ ...drawn, width: box.clientWidth }));
  }

  return {
    show(view) {
      const { tree } = view;
      const k = tree?.sizes.length ?? 0;
      panel.hidden = !tree || (k === 1 && !tree.next?.length);
      if (!tree) return view;
      if (Number(dial.max) !== k) {
        dial.max = String(k);
        dial.value = dial.max;
      }
      const left = Number(dial.value);
      const clusters = inCut(view.clusters, tree, left);
      const now = cutText(tree, left);
      dial.setAttribute('aria-valuetext', now);
      setText(byId('cut'), now);
      setText(splits, nextSplitText(tree));
      splits.hidden = !splits.textContent;
      byId('dial-box').hidden = box.hidden = k === 1;
      setText(byId('tree-legend'), k > 1 ? legend(tree) : '');
      drawn = { tree, clusters, left };
      if (k > 1) draw();
      return { ...view, clusters };
    },
  };
}

function legend(tree: MergeTree): string {
  const shown = shownJoins(tree);
  return [
    'On the right, clusters and their rows; at the last joins stands how many clusters they leave.',
    ...(shown ? [`Shown are ${shown}; in brackets, the clusters of a group.`] : []),
    `Axis: ${tree.measure}.`,
    'The dial only changes colours; dpmesh cut writes the labels of fewer clusters.',
  ].join(' ');
}
