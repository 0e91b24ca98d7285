// The analysis of a model folder: the weights of its linear layers in several schemes, on all cores.
import { combineErrors, type ErrorSums, type QuantizationConfig } from '@qlora/quant-strategies';
import { bytesOfTensors, findTensor, QloraError } from '@qlora/tensor';
import { type AnalysisProgress, type AnalyzedTensor, analyzeTensors } from './analyze';
import { DEFAULT_SCHEMES, parseSchemes } from './analyze-schemes';
import { selectWeights } from './analyze-select';
import type { DenseModule } from './linear-weights';
import { type CheckFolder, openModelFolder } from './node-folder';
import { taskPool } from './node-task-pool';

/** Options of {@link analyzeFolder}. */
export interface AnalyzeFolderOptions {
  /** What is compared. Default: {@link DEFAULT_SCHEMES}. */
  readonly schemes?: readonly QuantizationConfig[] | undefined;
  /** Parts of names: the tensors that have one of them in theirs, instead of the weights of linear layers. */
  readonly tensors?: readonly string[] | undefined;
  /** Threads that compute. Default: one a core. */
  readonly threads?: number | undefined;
  /** Checks of the caller, who may know the architecture. */
  readonly check?: CheckFolder;
  /** Called as the work goes on. */
  readonly onProgress?: (progress: AnalysisProgress) => void;
  /** Stops the work. */
  readonly signal?: AbortSignal | undefined;
}

/** What {@link analyzeFolder} found. */
export interface FolderAnalysis {
  readonly schemes: readonly QuantizationConfig[];
  /** In the order of the folder's tensors. */
  readonly tensors: readonly AnalyzedTensor[];
  /** All tensors as one, for each scheme. */
  readonly total: readonly ErrorSums[];
  /** Modules with a matrix that was not analysed. */
  readonly dense: readonly DenseModule[];
}

/**
 * Analyses a model folder of any size, some megabytes at a time. The figures are the same on any number of threads.
 *
 * @throws QloraError if the folder is not as it should be, is in 4 bits already, has nothing to analyse, or holds a value that
 * is not finite.
 * @example
 * const { schemes, total } = await analyzeFolder('SmolLM2-135M', { schemes: parseSchemes('nf4,fp4') });
 * for (const [i, sums] of total.entries()) console.log(schemeLabel(schemes[i]), errorFigures(sums).signalToNoise);
 */
export async function analyzeFolder(
  folder: string,
  options: AnalyzeFolderOptions = {},
): Promise<FolderAnalysis> {
  const { schemes = parseSchemes(DEFAULT_SCHEMES), tensors: texts, threads, onProgress, signal } = options;
  if (schemes.length === 0)
    throw new QloraError({ what: 'there is no scheme to compare', fix: `say ${DEFAULT_SCHEMES}` });
  const model = await openModelFolder(folder);
  try {
    options.check?.(model);
    if (model.quantized) {
      throw new QloraError({
        what: 'is in 4 bits already, and an analysis compares with the weights as they were',
        where: folder,
        fix: 'name the checkpoint in f32, f16 or bf16',
      });
    }
    const { source, config } = model;
    const { weights, dense } = selectWeights(config, source.tensors, texts, folder);
    const sizes = weights.map(({ name }) => findTensor(source, name));
    const bytes = bytesOfTensors(sizes);
    // Each scheme is as much work as a conversion.
    const pool = taskPool({ threads, bytes: bytes * schemes.length });
    try {
      const tensors = await analyzeTensors(source, weights, schemes, {
        ...{ run: pool.run, slots: pool.slots, signal },
        ...(onProgress ? { onProgress } : {}),
      });
      const total = schemes.map((_, i) => combineErrors(tensors.map(({ sums }) => sums[i]!)));
      return { schemes, tensors, total, dense };
    } finally {
      await pool.close();
    }
  } finally {
    await model.close();
  }
}
