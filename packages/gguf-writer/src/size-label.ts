// The size of a model as `general.size_label` has it: two digits at least, in thousands, millions or more of parameters
// (gguf-py/gguf/utility.py, model_weight_count_rounded_notation).

const scales = [
  [1e12, 1e-12, 'T'],
  [1e9, 1e-9, 'B'],
  [1e6, 1e-6, 'M'],
  [0, 1e-3, 'K'],
] as const;

/** `260K`, `1.1B`, … */
export function sizeLabel(parameters: number): string {
  const [, factor, suffix] = scales.find(([limit]) => parameters > limit) ?? scales[3];
  const scaled = parameters * factor;
  const digits = rounded(scaled, 0).replace(/^0+/, '').length;
  return `${rounded(scaled, Math.max(2 - digits, 0))}${suffix}`;
}

/** As Python rounds and prints: what lies halfway goes to the even digit, where `toFixed` takes the larger one. */
function rounded(value: number, digits: number): string {
  const isHalfway = Math.abs((value * 2 ** (digits + 1)) % 2) === 1;
  const low = Math.floor(value * 10 ** digits);
  return (isHalfway ? (low + (low % 2)) / 10 ** digits : value).toFixed(digits);
}
