// generation_config.json as PARAMETER lines. Only what the file says: transformers' defaults for what it leaves out are not
// what a model's makers chose.

/** transformers' name, Ollama's name (api/types.go, Options), whether it counts without sampling, and what is taken. */
const PARAMETERS: readonly [string, string, boolean, (value: number) => boolean][] = [
  ['temperature', 'temperature', false, (value) => value >= 0],
  ['top_k', 'top_k', false, (value) => Number.isInteger(value) && value >= 0],
  ['top_p', 'top_p', false, (value) => value > 0 && value <= 1],
  ['min_p', 'min_p', false, (value) => value >= 0 && value <= 1],
  ['typical_p', 'typical_p', false, (value) => value > 0 && value <= 1],
  ['repetition_penalty', 'repeat_penalty', true, (value) => value > 0],
];

/** Parameters by Ollama's names, and what could not be taken, as sentences. */
export function samplingParameters(generation: Readonly<Record<string, unknown>>): {
  parameters: [string, number][];
  warnings: string[];
} {
  const parameters: [string, number][] = [];
  const warnings: string[] = [];
  for (const [theirs, ours, always, takes] of PARAMETERS) {
    const value = generation[theirs];
    if (value === undefined || value === null || (!always && generation.do_sample !== true)) continue;
    if (typeof value === 'number' && Number.isFinite(value) && takes(value)) parameters.push([ours, value]);
    else warnings.push(`generation_config.json: ${theirs} is ${JSON.stringify(value)}, which is left out`);
  }
  return { parameters, warnings };
}
