// Writes the broken and the odd files, for tooling/conformance/llama-cpp/readers.py. Arguments: a folder. Prints what was
// written and what our reader says of it, as JSON.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesSource, QloraError } from '@qlora/tensor';
import { readGguf } from '../index';
import { brokenFiles } from './broken-files';
import { oddFiles } from './odd-files';

async function verdictOf(bytes: Uint8Array): Promise<string> {
  try {
    const file = await readGguf(bytesSource(bytes));
    for (const { name, type } of file.tensors) await (type ? file.read(name) : file.readBytes(name));
    return 'accepts';
  } catch (error) {
    if (error instanceof QloraError && error.rule) return error.rule;
    throw error;
  }
}

const [out = 'broken'] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const written = [];
for (const [index, file] of [...brokenFiles, ...oddFiles].entries()) {
  const path = join(out, `${index}.gguf`);
  const { bytes } = file;
  writeFileSync(path, bytes);
  written.push({ name: file.name, path, broken: 'rule' in file, ours: await verdictOf(bytes) });
}
console.log(JSON.stringify(written));
