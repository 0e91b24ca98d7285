// Where the kernels keep what they compute with, in the memory below the host's windows (src/ggml.ts). Addresses instead of
// memory.data, whose zeros the module would carry.

/** Values of up to 256, transposed by fours. 1024 bytes. */
export const VALUES: usize = 8192;
/** Their weights. 1024 bytes. */
export const WEIGHTS: usize = 9216;
/** Weights in the order of the values. 1024 bytes. */
export const ROW: usize = 10240;
/** Weights times values. 512 bytes. */
export const PRODUCTS: usize = 11264;
/** Codes of a step of a search, as f32. 512 bytes. */
export const TRIAL: usize = 11776;
/** Codes of a super-block. 256 bytes. */
export const CODES: usize = 12288;
/** What the searches find: 128 bytes. */
export const FITS: usize = 12544;
/** Sums of weights of 8 groups, f32. */
export const SUMS: usize = 12672;
/** Scales and minimums of 8 groups, f32. */
export const GROUPS: usize = 12704;
/** Their codes: 8 bytes each. */
export const SCALE_CODES: usize = 12768;
export const MINIMUM_CODES: usize = 12776;
