// A model to export, wherever it lies: in a folder, or in a QNAT file, which holds config and tokenizer too.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufTokenizerFiles } from '@qlora/gguf-writer';
import { openQnat, qnatModelFiles } from '@qlora/qnat-writer';
import { type ByteSource, QloraError } from '@qlora/tensor';
import { fileSource, ifThere, ioError, readJsonObject } from '@qlora/tensor/node';
import { type ModelFolder, openModelFolder } from './node-folder';
import { readTokenizerFiles } from './node-tokenizer';

/** An open model with what belongs to it. */
export interface OpenModel extends ModelFolder {
  /** The files of its tokenizer. @throws QloraError if it has none. */
  tokenizer(): Promise<GgufTokenizerFiles>;
  /** generation_config.json, if there is one. */
  generation(): Promise<Readonly<Record<string, unknown>> | undefined>;
}

/**
 * Opens a model folder, plain or in 4 bits, or a QNAT file.
 * @throws QloraError as {@link openModelFolder} and `openQnat` do, and for a QNAT file without a config.
 */
export async function openModel(path: string): Promise<OpenModel> {
  const info = await stat(path).catch((cause) => {
    throw ioError(path, cause);
  });
  return info.isDirectory() ? openFolder(path) : openFile(path);
}

async function openFolder(path: string): Promise<OpenModel> {
  return {
    ...(await openModelFolder(path)),
    tokenizer: () => readTokenizerFiles(path),
    generation: () => ifThere(readJsonObject(join(path, 'generation_config.json'))),
  };
}

async function openFile(path: string): Promise<OpenModel> {
  const bytes = await fileSource(path);
  try {
    await refuseOthers(bytes);
    const file = await openQnat(bytes);
    if (!Object.hasOwn(file.json, 'config')) {
      throw new QloraError({
        what: 'holds no config of a model',
        where: path,
        fix: '`qlora export qnat` writes files with config and tokenizer; or name the folder of a checkpoint',
      });
    }
    const { config, generationConfig, tokenizerConfig = {}, ...tokenizer } = qnatModelFiles(file.json, path);
    return {
      path,
      configText: JSON.stringify(config),
      config,
      source: file,
      quantized: file.quantized.size > 0,
      async tokenizer() {
        if (tokenizer.tokenizer || tokenizer.sentencePiece) return { ...tokenizer, config: tokenizerConfig };
        throw new QloraError({
          what: 'holds no tokenizer',
          where: path,
          fix: 'name the folder of a checkpoint, or export it again with its tokenizer',
        });
      },
      generation: async () => generationConfig,
      close: () => bytes.close(),
    };
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** Throws for a file that does not begin as QNAT files do. */
async function refuseOthers(bytes: ByteSource): Promise<void> {
  const magic = new TextDecoder('latin1').decode(await bytes.read(0, Math.min(4, bytes.size)));
  if (magic === 'QNAT') return;
  throw new QloraError({
    what: magic === 'GGUF' ? 'is a GGUF file already' : 'is no folder and no QNAT file',
    where: bytes.label,
    fix: 'name the folder of a Hugging Face checkpoint, or a QNAT file',
  });
}
