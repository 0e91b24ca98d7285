// Putting adapters into a model's linear layers, and taking them out as files have them.
import type { Parameter } from '@qlora/autograd';
import { type BaseQuantization, checkAdapter, type LoraConfig, lora, type StoredAdapter } from '@qlora/peft';
import { sharedQuantization } from '@qlora/quant-strategies';
import { random, type Tensor } from '@qlora/tensor';
import type { LlamaModel } from './llama';

/**
 * Puts fresh LoRA adapters into the layers that `config.targetModules` means.
 * @returns what trains, in a fixed order.
 */
export function addLora(model: LlamaModel, config: LoraConfig, seed: number): Parameter[] {
  const rng = random(seed).fork('lora');
  return lora.targets(config, [...model.linears.keys()]).flatMap((name) => {
    const linear = model.linears.get(name);
    if (!linear) return [];
    linear.adapter = lora.attach(config, linear, model.backend, rng);
    return [...linear.adapter.parameters];
  });
}

/**
 * Puts a stored adapter into the model.
 * @returns its parameters, to train on.
 * @throws QloraError if it adapts a module that the model does not have, lacks one that it says it adapts, or its shapes
 * do not fit: it belongs to another model. Nothing is changed then.
 */
export function applyAdapter(model: LlamaModel, adapter: StoredAdapter): Parameter[] {
  checkAdapter(adapter, model.linears.values());
  return [...adapter.modules].flatMap(([name, tensors]) => {
    const linear = model.linears.get(name);
    if (!linear) return [];
    linear.adapter = adapter.method.attach(adapter.config, linear, model.backend, tensors);
    return [...linear.adapter.parameters];
  });
}

/**
 * The model's adapters as a stored adapter. `targetModules` names the kinds of layers, as PEFT writes them; how the layers
 * are quantized goes with it, for those who merge the adapter later.
 */
export async function extractAdapter(
  model: LlamaModel,
  config: LoraConfig,
  label = 'adapter',
): Promise<StoredAdapter> {
  const modules = new Map<string, Map<string, Tensor>>();
  for (const [name, linear] of model.linears) {
    if (linear.adapter) modules.set(name, await linear.adapter.state());
  }
  const targetModules = [
    ...new Set([...modules.keys()].map((name) => name.slice(name.lastIndexOf('.') + 1))),
  ].sort();
  const baseQuantization = quantizationOfModel(model);
  return { method: lora, config: { ...config, targetModules }, modules, baseQuantization, label };
}

/** How a model's linear layers are quantized; undefined if none is, or if not all that are have the same configuration. */
function quantizationOfModel({ linears }: LlamaModel): BaseQuantization | undefined {
  const all = [...linears];
  const shared = sharedQuantization(
    all.flatMap(([, { quantization }]) => (quantization ? [quantization] : [])),
  );
  const denseModules = all.flatMap(([name, { quantization }]) => (quantization ? [] : [name])).sort();
  return shared && denseModules.length > 0 ? { ...shared, denseModules } : shared;
}
