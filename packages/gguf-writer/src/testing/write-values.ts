// Writes a file with every type of metadata value, for tooling/conformance/llama-cpp/metadata.py. Arguments: the file. Prints the
// values as JSON, 64-bit integers and -0 as text.
import { writeFileSync } from 'node:fs';
import { everyValue, noiseFile } from './fuzz-seeds';

const [out = 'values.gguf'] = process.argv.slice(2);
writeFileSync(out, await noiseFile(everyValue, []));
const plain = (_: string, value: unknown) =>
  typeof value === 'bigint' ? String(value) : Object.is(value, -0) ? '-0' : value;
console.log(JSON.stringify([...everyValue], plain));
