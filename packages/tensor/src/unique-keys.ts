// JSON.parse keeps the last of two equal keys and says nothing. In a file's directory that hides one tensor behind
// another, so the text is scanned for them first.

/**
 * The first key that an object in `json` has twice, or undefined. `json` must be valid JSON.
 */
export function duplicateKey(json: string): string | undefined {
  const stack: (Set<string> | undefined)[] = [];
  let expectKey = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === '"') {
      const start = i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      if (!expectKey) continue;
      expectKey = false;
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      const keys = stack.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    } else if (c === '{') {
      stack.push(new Set());
      expectKey = true;
    } else if (c === '[') stack.push(undefined);
    else if (c === '}' || c === ']') {
      stack.pop();
      expectKey = false;
    } else if (c === ',') expectKey = stack.at(-1) !== undefined;
  }
  return undefined;
}
