// The files of a tokenizer out of a model folder, for `exportGguf` of `@qlora/gguf-writer`.
import { join } from 'node:path';
import type { GgufTokenizerFiles } from '@qlora/gguf-writer';
import { QloraError } from '@qlora/tensor';
import { ifThere, readJsonObject, readSmallFile } from '@qlora/tensor/node';

/**
 * Reads what a folder has of tokenizer.json, tokenizer_config.json, tokenizer.model, added_tokens.json and
 * chat_template.jinja.
 * @throws QloraError if it has neither tokenizer.json nor tokenizer.model, or a file is no JSON object.
 */
export async function readTokenizerFiles(folder: string): Promise<GgufTokenizerFiles> {
  const [tokenizer, config, addedTokens] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json', 'added_tokens.json'].map((name) =>
      ifThere(readJsonObject(join(folder, name))),
    ),
  );
  const sentencePiece = await ifThere(readSmallFile(join(folder, 'tokenizer.model')));
  const template = await ifThere(readSmallFile(join(folder, 'chat_template.jinja')));
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
