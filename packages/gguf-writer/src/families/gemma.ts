// What llama.cpp has built in for Gemma 2 and 3 (src/models/gemma2.cpp, gemma3.cpp), and no key for: the activation, what scores of
// attention are multiplied by, and which layers have sliding attention. A config that says otherwise is refused.
import { type DecoderSizes, requireActivation } from './common';
import type { ConfigReader } from './config';

/**
 * @param largest layers of the model that llama.cpp takes for the 27B one, whose scores are divided by the root of hidden / heads.
 * @param period every how many layers one has full attention.
 */
export function requireBuiltIn(
  config: ConfigReader,
  { layers, hidden, heads, headDim }: DecoderSizes,
  { largest, period }: { largest: number; period: number },
): void {
  requireActivation(config, 'hidden_activation', ['gelu_pytorch_tanh']);
  const scale = layers === largest ? Math.floor(hidden / heads) : headDim;
  const scalar = config.number('query_pre_attn_scalar', 256);
  if (scalar !== scale)
    config.refuse('query_pre_attn_scalar', `is ${scalar}`, `llama.cpp takes ${scale} for such a model`);
  const kinds = config.texts('layer_types');
  const wrong = kinds?.findIndex(
    (kind, i) => kind !== ((i + 1) % period ? 'sliding_attention' : 'full_attention'),
  );
  if (kinds && wrong !== undefined && wrong >= 0)
    config.refuse(
      'layer_types',
      `has "${kinds[wrong]}" for layer ${wrong}`,
      `llama.cpp has sliding attention in all layers but every ${period === 2 ? 'second' : `${period}th`}`,
    );
  if (config.isNull('sliding_window')) config.refuse('sliding_window', 'is null', 'llama.cpp needs one');
  if (config.flag('use_bidirectional_attention', false))
    config.refuse('use_bidirectional_attention', 'is true', 'llama.cpp has causal attention here');
}
