// One reader of GGUF files on one file, for readers.py: the exit status is 0 if it accepts the file and 3 if it refuses it.
// Arguments: the reader, the file, a folder with the npm packages @huggingface/gguf and node-llama-cpp.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [reader, path, folder] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(createRequire(join(folder, 'x.js')).resolve(name)));

const readers = {
  async '@huggingface/gguf'() {
    const { gguf } = await load('@huggingface/gguf');
    await gguf(path, { allowLocalFile: true, computeParametersCount: true });
  },
  async 'node-llama-cpp'() {
    const { readGgufFileInfo } = await load('node-llama-cpp');
    await readGgufFileInfo(path, { readTensorInfo: true, logWarnings: false });
  },
  async 'llama.cpp'() {
    const { getLlama } = await load('node-llama-cpp');
    const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'disabled', maxThreads: 1 });
    const model = await llama.loadModel({ modelPath: path });
    const context = await model.createContext({ contextSize: 16, threads: 1 });
    await context.getSequence().evaluateWithoutGeneratingNewTokens([1, 2]);
  },
};

try {
  await readers[reader]();
} catch (error) {
  console.log(String(error.message).split('\n')[0]);
  process.exit(3);
}
process.exit(0);
