import { createAtomicFile } from '../../base/files.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { kindsOf } from '../../run/option.ts';
import { onnxModel } from '../../run/passes/onnx-model.ts';
import { assertNotOfRun } from '../../run/run-path.ts';
import { columnsOf, readTrainedModel } from '../../run/trained-model.ts';
import { assertOptions, assertWritable, fixedPaths } from '../arguments.ts';
import { EXPORT } from '../command-options.ts';

/** Options of `exportModel`. */
export interface ExportOptions {
  /** The directory of a finished run. */
  run: string;
  /** Write the model to this file, in the format of ONNX. */
  onnx: string;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
}

/** A model that was exported. */
export interface ExportedModel {
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Number of columns D of its input `rows`, float32, N×D: those of the run's data in their order, categories as their columns of 0 and 1. */
  readonly columns: number;
  /** Number K of outputs of the run's model, the columns of `probabilities`. */
  readonly k: number;
}

/**
 * Writes the model of a finished run for other programs: one graph of all that is done to rows. The outputs of ONNX are `label` and `component` (int64, N),
 * `probabilities` (float32, N×K), `confidence`, `distance`, `outlier_score` and, not by the graph likelihood, `log_density` (float32, N).
 *
 * @throws {UserError} (rejection) if the run is not finished, it fills unknown cells by regression, for which ONNX has no operator, or
 *   the file exists and `force` is not set
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  const { atlas: _, datamapplot: __, ...kinds } = kindsOf(EXPORT);
  assertOptions('exportModel', options, kinds, ['run', 'onnx']);
  const { run, onnx, force = false } = options;
  const paths = fixedPaths();
  const [folder, file] = [paths.fix(run), paths.fix(onnx)];
  return paths.naming(async () => {
    const trained = readTrainedModel(folder, { details: true });
    assertNotOfRun(run, { '--onnx': onnx });
    assertWritable({ '--onnx': onnx }, force);
    const bytes = onnxModel(trained, trained.measured, { run: folder, version: dpmeshVersion() });
    const written = createAtomicFile(file, { replace: force });
    written.write(bytes, 0);
    written.finish();
    return { bytes: bytes.length, columns: columnsOf(trained), k: trained.k };
  });
}
