// Where Ollama stops: the model's end token, which it knows from the GGUF file, and what a Modelfile adds as words. Added are
// the token that ends an answer, the beginnings of turns, in case a model goes on with the next one by itself, and further
// end tokens.
import type { ChatLayout } from './chat-layout';

/** Stop words of a layout. */
export function stopWords({ system, user, assistant, answer }: ChatLayout): string[] {
  const words = [
    marker(assistant.after),
    marker(user.before, true),
    marker(assistant.before || answer, true),
  ];
  if (system.kind === 'turn' || system.kind === 'start') words.push(marker(system.before));
  return [...new Set(words.filter((word) => word !== undefined))];
}

/** The first special token in a text, or, if asked for and there is none, the words themselves. */
function marker(text: string, orWords = false): string | undefined {
  // <|im_end|>, </s>, <start_of_turn>, <｜User｜>, <<SYS>>, [INST]; a mark of thinking is part of an answer.
  const token = /<+[^<>\s]+>+|\[\/?[A-Z_]+\]/.exec(text)?.[0];
  if (token !== undefined) return /think/i.test(token) ? undefined : token;
  const words = text.trim();
  // `###` or a line break alone could stand in any answer.
  return orWords && !words.includes('\n') && /[\p{L}\p{N}]{2}.*[:>\])}]$|^#+ *[\p{L}\p{N}]{2}/u.test(words)
    ? words
    : undefined;
}
