// config.json as a text. It is written by Python, which tells 30.0 from 30, and transformers refuses a config
// whose 30.0 has become 30 (huggingface_hub's strict dataclasses); JavaScript has one kind of number. So what
// changes in a config is changed in its text, and the rest stays as it is written.
import { QloraError } from '@qlora/tensor';

// A string, or one of the numbers that Python writes and JSON does not have.
const STRING_OR_ODD_NUMBER = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

/**
 * Parses a config.json. Infinity and NaN, which older versions of transformers wrote as Python has them, become
 * null.
 * @throws QloraError if it is no JSON object.
 */
export function parseConfigText(text: string, where = 'config.json'): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(STRING_OR_ODD_NUMBER, (found) => (found[0] === '"' ? found : 'null')));
  } catch (cause) {
    throw new QloraError({ what: `is no JSON: ${(cause as Error).message}`, where, cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new QloraError({ what: 'is no JSON object', where });
  return json as Record<string, unknown>;
}

/**
 * The text of a config.json with other values for some of its keys; a key whose value is undefined is taken out,
 * and one that was not there is added at the end. All other values stay as they are written.
 * @throws QloraError if it is no JSON object.
 * @example
 * editConfigText('{"softcap": 30.0, "dtype": "float16"}', { dtype: 'float32' }); // softcap is still 30.0
 */
export function editConfigText(
  text: string,
  changes: Readonly<Record<string, unknown>>,
  where = 'config.json',
): string {
  parseConfigText(text, where);
  const values = membersOf(text);
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) values.delete(key);
    else values.set(key, JSON.stringify(value, null, 2).replaceAll('\n', '\n  '));
  }
  const lines = [...values].map(([key, value]) => `  ${JSON.stringify(key)}: ${value}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** The outermost keys of a JSON object and the texts of their values, of a text that is known to be one. */
function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let depth = 0;
  let key: string | undefined;
  let last: string | undefined;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}:,]/g)) {
    const isEnd = token === '}' || token === ']';
    if (depth === 1 && key !== undefined && (token === ',' || isEnd)) {
      members.set(key, text.slice(start, index).trim());
      key = undefined;
    } else if (depth === 1 && key === undefined && token === ':') {
      key = JSON.parse(last ?? '""') as string;
      start = index + 1;
    }
    if (token === '{' || token === '[') depth++;
    else if (isEnd) depth--;
    last = token;
  }
  return members;
}
