// Opening a model for computing: checkpoint, backend, model and adapter, as several verbs need it.
import { type Backend, createReferenceBackend } from '@qlora/backend';
import { applyAdapter, type Checkpoint, type LlamaModel, loadModel } from '@qlora/models';
import { openCheckpoint } from '@qlora/models/node';
import { loadAdapter } from '@qlora/peft/node';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import type { Reporter } from './reporter';

/** A model that is ready to compute. */
export interface Loaded {
  readonly backend: Backend;
  readonly checkpoint: Checkpoint;
  readonly model: LlamaModel;
}

/** Opens a model folder, with an adapter if one is named, quantized on the way if asked for. */
export async function load(
  folder: string,
  options: { adapter?: string | undefined; quantize?: Partial<QuantizationConfig> | undefined },
  reporter: Reporter,
): Promise<Loaded> {
  const adapter = options.adapter === undefined ? undefined : await loadAdapter(options.adapter);
  const checkpoint = await openCheckpoint(folder);
  try {
    const backend = createReferenceBackend();
    let progress: ReturnType<Reporter['progress']> | undefined;
    const model = await loadModel(backend, checkpoint, {
      ...(options.quantize ? { quantize: options.quantize } : {}),
      onTensor(_, done, total) {
        progress ??= reporter.progress('loading', total);
        progress.update(done);
      },
    });
    progress?.stop();
    if (adapter) applyAdapter(model, adapter);
    return { backend, checkpoint, model };
  } finally {
    await checkpoint.close();
  }
}
