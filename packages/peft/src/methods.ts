// The registry of adapter methods, by PEFT's `peft_type`. A new method is a file beside `lora.ts` and a line here.
import { QloraError } from '@qlora/tensor';
import type { AdapterMethod } from './contract';
import { lora } from './lora';
import type { LoraConfig } from './lora-config';

/** Every configuration that a method here understands. */
export type AdapterConfig = LoraConfig;

/** Known methods by `peft_type`. */
export const adapterMethods: ReadonlyMap<string, AdapterMethod<AdapterConfig>> = new Map([
  [lora.peftType, lora],
]);

/**
 * The method that a parsed `adapter_config.json` names.
 * @throws QloraError for another one, listing those that there are.
 */
export function methodOf(json: unknown, where = 'adapter_config.json'): AdapterMethod<AdapterConfig> {
  const type =
    typeof json === 'object' && json !== null && Object.hasOwn(json, 'peft_type')
      ? (json as { peft_type: unknown }).peft_type
      : undefined;
  const method = typeof type === 'string' ? adapterMethods.get(type) : undefined;
  if (method) return method;
  throw new QloraError({
    what: type === undefined ? 'has no peft_type' : `peft_type is ${JSON.stringify(type)}`,
    where,
    fix: `known: ${[...adapterMethods.keys()].join(', ')}`,
  });
}
