// Whether an adapter belongs to a model: said before anything is computed with it, in full, so that an adapter is never
// applied in part.
import { located, QloraError } from '@qlora/tensor';
import type { StoredAdapter } from './adapter-file';
import type { LinearInfo } from './contract';
import { matches } from './target-modules';

/**
 * Throws unless the adapter fits a model's linear layers: each module that it adapts is there in its shape, and each layer
 * that its `target_modules` list means has weights in it.
 *
 * @param linears the linear layers of the model, the output embedding not among them.
 */
export function checkAdapter(adapter: StoredAdapter, linears: Iterable<LinearInfo>): void {
  const layers = new Map([...linears].map((linear) => [linear.name, linear]));
  for (const name of adapter.modules.keys()) {
    const linear = layers.get(name);
    if (!linear) {
      throw new QloraError({
        what: `adapts "${name}", which the model does not have`,
        where: adapter.label,
        fix: 'use it with the model that it was trained on',
      });
    }
    checkModule(adapter, linear);
  }
  const { targetModules } = adapter.config;
  // A string is an expression in Python's syntax, which is not quite JavaScript's: too weak a ground to refuse on.
  if (typeof targetModules === 'string') return;
  for (const name of layers.keys()) {
    if (adapter.modules.has(name) || !targetModules.some((entry) => matches(entry, name))) continue;
    throw new QloraError({
      what: `holds no weights for "${name}", which its target_modules name`,
      where: adapter.label,
      fix: 'the file is incomplete, or the adapter was trained on another model',
    });
  }
}

/** Throws unless the adapter's tensors fit the layer of that name. */
export function checkModule(adapter: StoredAdapter, linear: LinearInfo): void {
  try {
    adapter.method.validate(adapter.config, linear, adapter.modules.get(linear.name) ?? new Map());
  } catch (error) {
    throw located(adapter.label, error);
  }
}
