// Rotary embeddings: base, scaling, factors (conversion/base.py, TextModel.set_gguf_parameters; conversion/llama.py,
// LlamaModel.generate_extra_tensors). transformers 5 keeps all of it under `rope_parameters`; before, the base was
// `rope_theta` and the rest `rope_scaling`, whose type was `type` at first.
import { f32Value, type GgufValue, text, u32 } from '../value';
import type { ConfigReader } from './config';

/** Rotary embedding of a model, or of its layers of one kind. */
export interface Rope {
  readonly theta: number;
  /** `default`, `linear`, `llama3`, `yarn`, `longrope`. */
  readonly type: string;
  /** What else the config says of it. */
  readonly parameters: ConfigReader;
}

/** The rotary embedding of a config, of full attention where the config tells it from sliding attention. */
export function readRope(config: ConfigReader, defaultTheta = 10000): Rope {
  // In this order where there are both, as transformers has them (modeling_rope_utils.py, convert_rope_params_to_dict).
  const outer = config.object(config.has('rope_scaling') ? 'rope_scaling' : 'rope_parameters');
  const parameters = outer.has('full_attention') ? outer.object('full_attention') : outer;
  const theta = parameters.optionalNumber('rope_theta') ?? config.number('rope_theta', defaultTheta);
  const named = parameters.text('rope_type') ?? parameters.text('type') ?? 'default';
  return { theta, type: named === 'su' ? 'longrope' : named, parameters };
}

/** The base of the layers with sliding attention, or undefined where there are none of their own. */
export function slidingTheta(config: ConfigReader, fallback: number): number {
  const sliding = config.object('rope_parameters').object('sliding_attention');
  return sliding.optionalNumber('rope_theta') ?? config.number('rope_local_base_freq', fallback);
}

/**
 * Metadata of the base and of the scaling that llama.cpp computes itself.
 * @throws QloraError for a scaling that it has not.
 */
export function ropeMetadata(architecture: string, rope: Rope, config: ConfigReader): [string, GgufValue][] {
  const { type, parameters } = rope;
  const key = (name: string) => `${architecture}.rope.${name}`;
  const base: [string, GgufValue] = [key('freq_base'), f32Value(rope.theta)];
  const scaling = (name: string): [string, GgufValue][] => [
    [key('scaling.type'), text(name)],
    [key('scaling.factor'), f32Value(parameters.number('factor'))],
  ];
  switch (type) {
    case 'llama3': // by a tensor, of which llama.cpp knows nothing in other architectures: see llama3Factors
      return architecture === 'llama'
        ? [base]
        : parameters.refuse('rope_type', 'is "llama3"', 'llama.cpp has that in Llama only');
    case 'default':
      return [base];
    case 'linear':
      return [...scaling('linear'), base];
    case 'yarn': {
      const context = parameters.optionalSize('original_max_position_embeddings');
      const original = context ?? config.size('original_max_position_embeddings');
      const attention = parameters.optionalNumber('attention_factor');
      requireUsualYarn(parameters);
      const numbers: [string, number | undefined][] = [
        ['yarn_ext_factor', parameters.optionalNumber('extrapolation_factor')],
        ['yarn_attn_factor', attention ?? parameters.optionalNumber('attn_factor')],
        ['yarn_beta_fast', parameters.optionalNumber('beta_fast')],
        ['yarn_beta_slow', parameters.optionalNumber('beta_slow')],
      ];
      return [
        ...scaling('yarn'),
        [key('scaling.original_context_length'), u32(original)],
        ...numbers.flatMap(([name, value]): [string, GgufValue][] =>
          value === undefined ? [] : [[key(`scaling.${name}`), f32Value(value)]],
        ),
        base,
      ];
    }
    default:
      return parameters.refuse(
        'rope_type',
        `is "${type}"`,
        `llama.cpp has linear${architecture === 'llama' ? ', llama3' : ''} and yarn here`,
      );
  }
}

/**
 * Refuses what transformers computes YaRN with and llama.cpp does not: of the numbers that follow the factor it reads none for
 * these architectures (the keys are known, src/models/qwen2.cpp and its kin do not ask for them), and takes its defaults.
 */
function requireUsualYarn(parameters: ConfigReader): void {
  const usual: [field: string, number][] = [
    ['attention_factor', 0.1 * Math.log(Math.max(1, parameters.number('factor'))) + 1],
    ['beta_fast', 32],
    ['beta_slow', 1],
  ];
  for (const [field, number] of usual) {
    const value = parameters.optionalNumber(field);
    if (value !== undefined && Math.abs(value - number) > 1e-5 * number)
      parameters.refuse(field, `is ${value}`, `llama.cpp computes with ${number}`);
  }
  // Together they are an attention factor.
  if (!parameters.has('attention_factor') && parameters.has('mscale') && parameters.has('mscale_all_dim'))
    parameters.refuse('mscale', 'is set', 'llama.cpp scales attention by the factor alone');
  if (!parameters.flag('truncate', true)) parameters.refuse('truncate', 'is false', 'llama.cpp truncates');
}

/**
 * What rotary frequencies are divided by in Llama 3.1's scaling, [headDim/2]; undefined for any other. Computed in f32 where
 * the converter does; its power function may still round a last bit otherwise (of those of Llama 3.1 and 3.2 it rounds none).
 */
export function llama3Factors({ theta, type, parameters }: Rope, headDim: number): Float32Array | undefined {
  if (type !== 'llama3') return undefined;
  const factor = parameters.number('factor', 8);
  const low = parameters.number('low_freq_factor', 1);
  const high = parameters.number('high_freq_factor', 4);
  const original = parameters.size('original_max_position_embeddings', 8192);
  return Float32Array.from({ length: Math.floor((headDim + 1) / 2) }, (_, i) => {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround((2 * i) / headDim)));
    const wavelength = Math.fround(Math.fround(2 * Math.PI) / frequency);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = Math.fround(Math.fround(Math.fround(original / wavelength) - low) / (high - low));
    return Math.fround(1 / Math.fround(Math.fround(Math.fround(1 - smooth) / factor) + smooth));
  });
}
