// One reader of GGUF files on one file, for readers.py: the exit status is 0 if it accepts the file and 3 if it refuses it.
// Arguments: the reader, the file, a folder with the npm package @huggingface/gguf.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [reader, path, folder] = process.argv.slice(2);
const load = (name, from) => import(pathToFileURL(createRequire(join(from, 'package.json')).resolve(name)));

const readers = {
  async '@huggingface/gguf'() {
    const { gguf } = await load('@huggingface/gguf', folder);
    await gguf(path, { allowLocalFile: true, computeParametersCount: true });
  },
  async 'node-llama-cpp'() {
    const { readGgufFileInfo } = await load(
      'node-llama-cpp',
      fileURLToPath(new URL('../../llama-cpp', import.meta.url)),
    );
    await readGgufFileInfo(path, { readTensorInfo: true, logWarnings: false });
  },
};

try {
  await readers[reader]();
} catch (error) {
  console.log(String(error.message).split('\n')[0]);
  process.exit(3);
}
process.exit(0);
