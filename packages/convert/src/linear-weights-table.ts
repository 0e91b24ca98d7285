// What of a model cannot be told from its tensors, by `model_type` of config.json (or of one of its parts,
// such as `text_config`). Everything here is what transformers 5.23 does;
// tooling/conformance/huggingface/linear_weights.py asks it.

/** What is special about an architecture. Patterns are those of `modulePatterns`, on names as files have them. */
export interface ModelFacts {
  /**
   * Its linear layers are transformers' Conv1D (pytorch_utils.py): weights are [in, out] in the file, and
   * quantized, and stored in 4 bits, as [out, in].
   */
  readonly conv1d?: boolean;
  /**
   * Modules that transformers leaves dense: of another class than nn.Linear, named by the model's
   * `_keep_in_fp32_modules`, or tied to others.
   */
  readonly kept?: readonly string[];
  /** Linear layers whose names do not say so. */
  readonly linear?: readonly string[];
  /** Name of the output embedding where it is not `lm_head`: it may be tied and so not in the file. */
  readonly head?: string;
  /** transformers splits, joins or permutes linear weights on loading, which packed ones do not survive. */
  readonly rearranged?: boolean;
  /** transformers knows linear layers by other names than the file, beyond a prefix. */
  readonly renamed?: boolean;
}

const rows: readonly (readonly [types: string, facts: ModelFacts])[] = [
  // Every model that imports Conv1D. CTRL and GPT-BigCode have names like theirs and linear layers.
  ['gpt2 openai-gpt imagegpt decision_transformer clvp clvp_decoder', { conv1d: true }],

  // `_keep_in_fp32_modules`.
  ['t5 mt5 umt5 udop pop2piano', { kept: ['wo'] }],
  ['axk2 deepseek_v32 glm_moe_dsa', { kept: ['indexer.weights_proj'] }],
  ['deepseek_v4', { kept: ['compressor.wkv', 'compressor.wgate'] }],
  ['blip-2', { kept: ['(.*\\.)?qformer'] }],
  // Subclasses of nn.Linear, and other classes.
  ['falcon', { kept: ['query_key_value', 'dense', 'dense_h_to_4h', 'dense_4h_to_h'] }],
  ['ibert', { kept: ['(.*\\.)?encoder'] }],
  ['deepseek_v4', { kept: ['wo_a'] }],
  // Layers that share their weights, and so are tied keys.
  ['zamba', { kept: ['.*\\.shared_transf'] }],
  ['zamba2', { kept: ['.*\\.shared_transformer'] }],
  // Tied in part, below a tied module, or the last parameter of the model.
  ['mobilebert', { kept: ['cls.predictions.dense'] }],
  ['neomme', { kept: ['embedding_projection'] }],
  ['voxtral_realtime', { kept: ['multi_modal_projector.linear_2'] }],

  // Most routers are classes of their own; these are nn.Linear.
  ['afmoe', { linear: ['router.gate'] }],
  ['jetmoe', { linear: ['router.layer'] }],
  ['longcat_flash switch_transformers', { linear: ['router.classifier'] }],
  ['layoutlmv3', { linear: ['rel_pos_bias', 'rel_pos_x_bias', 'rel_pos_y_bias'] }],
  ['qwen4_exp qwen4_exp_text', { linear: ['block_inject_weight'] }],
  ['lighton_ocr mistral3', { linear: ['merging_layer'] }],
  ['inkling2 muse_glimmer muse_spark', { linear: ['patch_embedding'] }],
  ['lfm3_vl', { linear: ['patchifier'] }],

  [
    `albert bert big_bird blip_text_model deberta deberta-v2 ernie fnet layoutlm megatron-bert mobilebert
     mra nystromformer rembert roc_bert roformer squeezebert tapas yoso`,
    { head: 'predictions.decoder' },
  ],
  [
    `bert-generation camembert data2vec-text esmc ibert longformer luke mpnet reformer roberta
     roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod`,
    { head: 'lm_head.decoder' },
  ],
  ['biogpt fsmt trocr', { head: 'output_projection' }],
  ['convbert electra', { head: 'generator_lm_head' }],
  ['flaubert xlm', { head: 'pred_layer.proj' }],
  ['modernbert modernbert-decoder', { head: 'decoder' }],
  ['t5gemma t5gemma2', { head: 'lm_head.out_proj' }],
  ['distilbert', { head: 'vocab_projector' }],
  ['gpt_neox_japanese', { head: 'embed_out' }],
  ['neomme', { head: 'unembedding_projection' }],
  ['whisper', { head: 'proj_out' }],
  ['xlnet', { head: 'lm_loss' }],

  // conversion_mapping.py: WeightConverter entries on linear layers.
  [
    `dinov2 dinov2_with_registers gradium_phonon_tts gte hrm_text inkling_mm_model jina_embeddings_v3
     kimi_k25 minimax_m3_vl mistral_large4 molmo2 nemo_speechlm nemotron_h_omni nomic_bert qianfan_ocr
     radio rf_detr sapiens2 step3p5_vision step3p7 tipsv2 tipsv2_text tipsv2_vision unlimited_ocr`,
    { rearranged: true },
  ],
  // Experts in one tensor, which it expects one by one where a checkpoint is in 4 bits (quantizers/base.py,
  // MODULES_TO_PATCH_FOR_QUANTIZATION).
  ['llama4 llama4_text', { rearranged: true }],
  // WeightRenaming entries.
  [
    `audio-spectrogram-transformer axk2 bailing_hybrid beit cosmos3_edge cosmos3_omni deepseek_v4 deit
     ernie4_5_vl_moe glm5_next glm5_next_text hy_v3 hy_v4 hyperclovax_vision_v2 ijepa inkling2
     inkling2_text kimi_linear laguna lfm3_vl ultrabert ultravbert vit vit_mae vit_msn vivit`,
    { renamed: true },
  ],
];

/** The facts by model type; of a type in several rows all of them together. */
export const MODEL_FACTS: ReadonlyMap<string, ModelFacts> = (() => {
  const map = new Map<string, ModelFacts>();
  for (const [types, facts] of rows)
    for (const type of types.split(/\s+/)) map.set(type, mergeFacts([map.get(type) ?? {}, facts]));
  return map;
})();

/** Facts together: patterns are added up, of other fields the last one counts. */
export function mergeFacts(all: readonly ModelFacts[]): ModelFacts {
  return {
    ...(Object.assign({}, ...all) as ModelFacts),
    kept: all.flatMap(({ kept = [] }) => kept),
    linear: all.flatMap(({ linear = [] }) => linear),
  };
}
