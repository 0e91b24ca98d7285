// JSON as Python's json.dumps writes it by default: a space after each comma and colon, floats by repr. The bytes of
// bitsandbytes' quant state are such a text, and ours are to be the same.

/** A number that Python holds as a float. */
export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What {@link pythonJson} takes. */
export type PythonValue = string | number | boolean | null | PythonFloat | readonly PythonValue[];

/** An object as Python's json.dumps gives it, keys in their order. */
export function pythonJson(object: Readonly<Record<string, PythonValue>>): string {
  const pairs = Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}: ${text(value)}`);
  return `{${pairs.join(', ')}}`;
}

function text(value: PythonValue): string {
  if (value instanceof PythonFloat) return floatRepr(value.value);
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  return JSON.stringify(value);
}

/** Python's repr of a float: shortest digits, an exponent of two digits below 1e-4 and from 1e16 on. */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  if (Number.isInteger(value)) return `${value}.0`;
  // JavaScript writes plain digits from 1e-6 on, so nothing is left to change here.
  return String(value);
}
