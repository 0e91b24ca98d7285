// The files of a tokenizer out of a model folder, for `exportGguf` of `@qlora/gguf-writer`.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { GgufTokenizerFiles } from '@qlora/gguf-writer';
import { QloraError } from '@qlora/tensor';
import { ioError } from '@qlora/tensor/node';

// The largest tokenizer.json in use has 33 MB.
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/**
 * Reads what a folder has of tokenizer.json, tokenizer_config.json, tokenizer.model, added_tokens.json and
 * chat_template.jinja.
 * @throws QloraError if it has neither tokenizer.json nor tokenizer.model, or a file is no JSON object.
 */
export async function readTokenizerFiles(folder: string): Promise<GgufTokenizerFiles> {
  const [tokenizer, config, addedTokens] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json', 'added_tokens.json'].map((name) =>
      readJsonFile(join(folder, name)),
    ),
  );
  const sentencePiece = await readOptional(join(folder, 'tokenizer.model'));
  const template = await readOptional(join(folder, 'chat_template.jinja'));
  if (!tokenizer && !sentencePiece) {
    throw new QloraError({
      what: 'has no tokenizer',
      where: folder,
      fix: 'add its tokenizer.json or tokenizer.model',
    });
  }
  const chatTemplate = template && new TextDecoder().decode(template);
  return { tokenizer, config: config ?? {}, sentencePiece, addedTokens, chatTemplate };
}

/** A file's bytes, or undefined if it is not there. */
async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES)
      throw new QloraError({ what: `is ${size} bytes, too large for a tokenizer`, where: path });
    return await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause instanceof QloraError ? cause : ioError(path, cause);
  }
}

/** A file's JSON object, or undefined if it is not there. @throws QloraError if it holds something else. */
export async function readJsonFile(path: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await readOptional(path);
  if (!bytes) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new QloraError({ what: `is no JSON: ${(cause as Error).message}`, where: path, cause });
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new QloraError({ what: 'is no JSON object', where: path });
}
