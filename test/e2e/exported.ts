// The exported model of a run in TensorFlow.js, as docs/run-directory.md says that others may use it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { normalizeRows } from '../../data/transform.ts';

/** Labels of raw rows by the exported model; of rows scaled to unit length, if layers of the model do not do that. */
export async function exportedLabels(run: string, rows: Float32Array, dim: number): Promise<number[]> {
  const read = (name: string) => readFileSync(join(run, 'model', name));
  const { modelTopology, weightsManifest } = JSON.parse(read('model.json').toString());
  const weightData = Uint8Array.from(read(weightsManifest[0].paths[0])).buffer;
  const weightSpecs = weightsManifest[0].weights;
  const model = await loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  const input = rows.slice();
  const { normalize, before } = JSON.parse(read('transform.json').toString());
  if (normalize && !before) normalizeRows(input, dim);
  const output = model.predict(tf.tensor2d(input, [rows.length / dim, dim]), {
    batchSize: 2048,
  }) as tf.Tensor;
  const labels = [...(await tf.argMax(output, -1).data())];
  model.dispose();
  return labels;
}
