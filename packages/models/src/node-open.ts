// Opening a Hugging Face model folder.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bitsandbytesSource, parseQuantizationConfig } from '@qlora/safetensors';
import { openSafetensorsFolder } from '@qlora/safetensors/node';
import { QloraError } from '@qlora/tensor';
import { ifThere, ioError, readJsonObject } from '@qlora/tensor/node';
import { checkTensors } from './check-tensors';
import type { Checkpoint } from './checkpoint';
import { familyOf } from './family';
import { createTokenizer } from './tokenizer';

export { readJsonObject } from '@qlora/tensor/node';

/**
 * Opens a model folder: config.json, safetensors weights (plain or bitsandbytes 4-bit, sharded or not), tokenizer.json.
 * Weights are read when asked for. Close it when done.
 *
 * @throws QloraError naming the file and field that is missing, wrong or not supported, or the tensor that config.json
 * asks for and the weights do not have.
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const info = await stat(folder).catch((cause) => {
    throw ioError(folder, cause);
  });
  if (!info.isDirectory()) {
    throw new QloraError({
      what: 'is no folder',
      where: folder,
      fix: 'name the folder of a Hugging Face checkpoint',
    });
  }
  const configPath = join(folder, 'config.json');
  const configJson = await readJsonObject(configPath);
  const family = familyOf(configJson, configPath);
  const config = family.parseConfig(configJson, configPath);
  const quantization = parseQuantizationConfig(configJson.quantization_config, configPath);
  const tokenizerPath = join(folder, 'tokenizer.json');
  const tokenizerFiles = {
    tokenizer: await readJsonObject(tokenizerPath),
    config: (await ifThere(readJsonObject(join(folder, 'tokenizer_config.json')))) ?? {},
  };
  const tokenizer = createTokenizer(tokenizerFiles, tokenizerPath);
  const generationJson = await ifThere(readJsonObject(join(folder, 'generation_config.json')));
  const plain = await openSafetensorsFolder(folder);
  try {
    const source = quantization ? await bitsandbytesSource(plain) : plain;
    checkTensors(source, family.tensors(config));
    return {
      label: folder,
      family,
      config,
      configJson,
      generationJson,
      tokenizerFiles,
      tokenizer,
      source,
      close: () => plain.close(),
    };
  } catch (error) {
    await plain.close();
    throw error;
  }
}
