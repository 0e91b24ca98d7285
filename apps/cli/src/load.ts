// Opening a model for computing: checkpoint, backend, model and adapter, as several verbs need it.
import { type CreatedBackend, createBackend } from '@qlora/backend';
import { otherQuantizations } from '@qlora/convert';
import { applyAdapter, type Checkpoint, type LlamaModel, loadModel } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import type { StoredAdapter } from '@qlora/peft';
import { loadAdapter } from '@qlora/peft/node';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import { QloraError } from '@qlora/tensor';
import { requireQuantization } from './asked-quantization';
import type { Reporter } from './reporter';

/** What computes. */
export const BACKENDS = ['auto', 'wasm', 'reference'] as const;

/** Options of every verb that computes. */
export interface ComputeOptions {
  /** Default `auto`: WebAssembly where the engine has SIMD, else plain JavaScript. */
  readonly backend?: (typeof BACKENDS)[number] | undefined;
  /** Threads that compute. Default: the variable QLORA_THREADS, or one a core. */
  readonly threads?: number | undefined;
}

/** What is opened, and how. */
export interface LoadOptions extends ComputeOptions {
  readonly adapter?: string | undefined;
  /**
   * Quantize on the way, like this; a model that is in 4 bits must be so as far as this says. Default: as the adapter was
   * trained, else as it is.
   */
  readonly quantize?: Partial<QuantizationConfig> | undefined;
}

/** A model that is ready to compute. */
export interface Loaded {
  readonly backend: CreatedBackend;
  readonly checkpoint: Checkpoint;
  readonly model: LlamaModel;
}

/** Opens a model folder for `body`, and gives memory and threads back when that is done, or fails. */
export async function withModel<T>(
  folder: string,
  options: LoadOptions,
  reporter: Reporter,
  body: (loaded: Loaded) => Promise<T>,
): Promise<T> {
  const adapter = options.adapter === undefined ? undefined : await loadAdapter(options.adapter);
  const backend = makeBackend(options, reporter);
  try {
    const { checkpoint, model } = await load(folder, backend, options.quantize, adapter, reporter);
    if (adapter) applyAdapter(model, adapter);
    return await body({ backend, checkpoint, model });
  } finally {
    await backend.dispose();
  }
}

/** The model on the backend. The checkpoint's files are closed again: its weights are read. */
async function load(
  folder: string,
  backend: CreatedBackend,
  asked: LoadOptions['quantize'],
  adapter: StoredAdapter | undefined,
  reporter: Reporter,
): Promise<Omit<Loaded, 'backend'>> {
  const checkpoint = await openCheckpoint(folder);
  try {
    requireQuantization(checkpoint.source, asked ?? {});
    for (const warning of otherQuantizations(checkpoint.source, adapter ? [adapter] : []))
      reporter.warn(warning);
    const quantize = asked ?? adapter?.baseQuantization;
    let progress: ReturnType<Reporter['progress']> | undefined;
    const model = await loadModel(backend, checkpoint, {
      ...(quantize ? { quantize } : {}),
      onTensor(_, done, total) {
        progress ??= reporter.progress('loading', total);
        progress.update(done);
      },
    });
    progress?.stop();
    return { checkpoint, model };
  } finally {
    await checkpoint.close();
  }
}

function makeBackend({ backend, threads }: ComputeOptions, reporter: Reporter): CreatedBackend {
  if (backend === 'reference' && threads !== undefined && threads > 1)
    throw new QloraError({
      what: `${threads} threads are asked for, but the reference backend computes on one`,
      fix: 'leave --threads out, or use --backend wasm',
    });
  return createBackend({ backend, threads, onNotice: (message) => reporter.warn(message) });
}
