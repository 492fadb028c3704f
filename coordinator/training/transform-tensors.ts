import type { Transform } from '../../data/transform.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';

/** An input transform as tensors, in which form it is sent to the workers and kept in checkpoints. */
export function transformTensors(transform: Transform): Tensors {
  const { before, normalize, input, dim, columns, weights, bias, scale, offset, fences } = transform;
  return {
    shape: nd(Int32Array.of(normalize ? 1 : 0, input)),
    weights: columns ? nd(weights) : nd(weights, input, dim),
    bias: nd(bias),
    scale: nd(scale),
    offset: nd(offset),
    ...(before && { factor: nd(before.factor), shift: nd(before.shift) }),
    ...(columns && { columns: nd(columns) }),
    ...(fences && {
      fenced: nd(fences.columns),
      low: nd(fences.low),
      high: nd(fences.high),
      least: nd(fences.least),
      most: nd(fences.most),
    }),
  };
}

/** The reverse. Throws if a tensor is missing or has another type; lengths are not compared. */
export function transformFrom(tensors: Tensors): Transform {
  const f32 = (name: string) => take(tensors, name, 'float32');
  const bias = f32('bias');
  const [normalize, input] = take(tensors, 'shape', 'int32', 2);
  return {
    before: 'shift' in tensors ? { factor: f32('factor'), shift: f32('shift') } : null,
    normalize: normalize === 1,
    input,
    dim: bias.length,
    columns: 'columns' in tensors ? take(tensors, 'columns', 'int32') : null,
    weights: f32('weights'),
    bias,
    scale: take(tensors, 'scale', 'float64'),
    offset: take(tensors, 'offset', 'float64'),
    fences: !('fenced' in tensors)
      ? null
      : {
          columns: take(tensors, 'fenced', 'int32'),
          ...{ low: f32('low'), high: f32('high'), least: f32('least'), most: f32('most') },
        },
  };
}
