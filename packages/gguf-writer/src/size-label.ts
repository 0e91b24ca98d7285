// The size of a model as `general.size_label` has it: two digits at least, in thousands, millions or more of parameters
// (gguf-py/gguf/utility.py, model_weight_count_rounded_notation).

const scales = [
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [0, 'K'],
] as const;

/** `260K`, `1.1B`, … */
export function sizeLabel(parameters: number): string {
  const [least, suffix] = scales.find(([limit]) => parameters > limit) ?? [0, 'K'];
  const scaled = parameters / (least || 1e3);
  const digits = String(roundHalfEven(scaled)).replace(/^0+/, '').length;
  return `${scaled.toFixed(Math.max(2 - digits, 0))}${suffix}`;
}

// Python's round.
function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  return value - low > 0.5 || (value - low === 0.5 && low % 2 !== 0) ? low + 1 : low;
}
