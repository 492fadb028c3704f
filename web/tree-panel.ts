import { cutText, inCut, nextSplitText, treeLegend } from '../view/dendrogram.ts';
import type { ModelView } from '../view/model-view.ts';
import { treePicture } from '../view/tree-picture.ts';
import { byId, setHtml, setText } from './dom.ts';

/** The tree of merges once the run has one, with a dial from 1 to K that cuts it. `turned` is called when the dial was moved. */
export function treePanel(turned: () => void) {
  const panel = byId('tree');
  const dial = byId<HTMLInputElement>('dial');
  const box = byId('tree-scroll');
  const splits = byId('next-split');
  let drawn: (width: number) => string = () => '';

  dial.oninput = turned;
  new ResizeObserver(draw).observe(box);

  function draw() {
    const picture = box.clientWidth && drawn(box.clientWidth);
    if (picture) setHtml(box, picture);
  }

  return {
    /** Shows the tree of a view, if it has one. Returns the view in the colours of the cut that the dial is at. */
    show(view: ModelView): ModelView {
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
      setText(byId('tree-legend'), k > 1 ? treeLegend(tree) : '');
      const colours = clusters.map(({ colour }) => colour);
      drawn = (width) => (k > 1 ? treePicture(tree, { left, colours, width }) : '');
      draw();
      return { ...view, clusters };
    },
  };
}
