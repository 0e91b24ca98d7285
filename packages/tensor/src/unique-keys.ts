// JSON.parse keeps the last of two equal keys and says nothing. In a file's directory that hides one tensor behind
// another, so the text is scanned for them first.

/** The keys of an object that is open: none, one, or many. Most objects of a text that nests to no end have one. */
type Keys = undefined | string | Set<string>;

/** What stands for a list that is open. */
const LIST = Symbol('list');

/**
 * The first key that an object in `json` has twice, or undefined. `json` must be valid JSON.
 */
export function duplicateKey(json: string): string | undefined {
  const stack: (Keys | typeof LIST)[] = [];
  let expectKey = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === '"') {
      const start = i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      if (!expectKey) continue;
      expectKey = false;
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      const keys = stack.pop();
      if (keys === LIST) continue; // no valid JSON
      if (keys === key || (keys instanceof Set && keys.has(key))) return key;
      if (keys === undefined) stack.push(key);
      else stack.push(keys instanceof Set ? keys.add(key) : new Set([keys, key]));
    } else if (c === '{') {
      stack.push(undefined);
      expectKey = true;
    } else if (c === '[') {
      stack.push(LIST);
      expectKey = false;
    } else if (c === '}' || c === ']') {
      stack.pop();
      expectKey = false;
    } else if (c === ',') expectKey = stack.length > 0 && stack.at(-1) !== LIST;
  }
  return undefined;
}
