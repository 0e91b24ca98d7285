// The rules that a safetensors file must keep, by the names that errors give them, and what the reference
// implementation (safetensors/src/tensor.rs, version 0.8.0) calls the same. tooling/conformance/safetensors
// runs it on a file for each rule and compares.

/** A rule of the format, without the `safetensors/` that errors put before it. */
export type SafetensorsRule = keyof typeof SAFETENSORS_RULES;

/**
 * The variant of the reference's `SafeTensorError` for each rule, or more than one, where it has more than
 * one for what the rule forbids. `none`: it accepts what is refused here, in all cases or in some.
 */
export const SAFETENSORS_RULES = {
  'header-too-small': ['HeaderTooSmall'],
  'header-too-large': ['HeaderTooLarge'],
  'invalid-header-length': ['InvalidHeaderLength'],
  'invalid-header-start': ['none', 'InvalidHeaderDeserialization', 'InvalidHeader'],
  'invalid-utf8': ['InvalidHeader'],
  'invalid-json': ['InvalidHeaderDeserialization'],
  'duplicate-key': ['none', 'InvalidHeaderDeserialization', 'InvalidOffset'],
  'invalid-metadata': ['InvalidHeaderDeserialization', 'none'],
  'invalid-entry': ['InvalidHeaderDeserialization', 'none'],
  'missing-field': ['InvalidHeaderDeserialization'],
  'unknown-field': ['none', 'InvalidHeaderDeserialization'],
  'unknown-dtype': ['InvalidHeaderDeserialization', 'none'],
  'invalid-shape': ['InvalidHeaderDeserialization'],
  'invalid-data-offsets': ['InvalidHeaderDeserialization'],
  'too-many-metadata': ['none'],
  'too-many-axes': ['none'],
  'integer-too-large': ['none', 'InvalidHeaderDeserialization', 'TensorInvalidInfo', 'ValidationOverflow'],
  'validation-overflow': ['ValidationOverflow'],
  'misaligned-slice': ['MisalignedSlice'],
  'tensor-invalid-info': ['TensorInvalidInfo'],
  'offset-order': ['InvalidOffset'],
  hole: ['InvalidOffset'],
  overlap: ['InvalidOffset'],
  'incomplete-buffer': ['MetadataIncompleteBuffer'],
} as const satisfies Record<string, readonly string[]>;
