// Where Ollama stops: the model's end token, which it knows from the GGUF file, and what a Modelfile adds as words. Added are
// the token that ends an answer, the beginnings of turns, in case a model goes on with the next one by itself, and further
// end tokens.
import type { ChatLayout } from './chat-layout';

/** Words that begin a turn: `USER:`, `### Instruction`, `@@ Response`. A line break or `###` alone is in many an answer. */
const OPENING = /^[^\n]*[\p{L}\p{N}]{2}[^\n]*[:>\])}]$|^[#@]+ *[\p{L}\p{N}]{2}[^\n]*$/u;
/** Words that end one, in templates that use no such tokens: marks that are in no answer. */
const CLOSING = /^[^\n]*[^\p{L}\p{N}\s]{2}[^\n]*$/u;

/** Stop words of a layout. */
export function stopWords({ system, user, assistant, answer }: ChatLayout): string[] {
  const words = [
    marker(assistant.after, CLOSING),
    marker(user.before, OPENING),
    marker(assistant.before || answer, OPENING),
    system.kind === 'turn' || system.kind === 'start' ? marker(system.before, OPENING) : undefined,
  ];
  return [...new Set(words.filter((word) => word !== undefined))];
}

/** The first special token in a text or, if there is none, its words, where they are of the form. */
function marker(text: string, form: RegExp): string | undefined {
  // <|im_end|>, </s>, <start_of_turn>, <｜User｜>, <<SYS>>, [INST]; a mark of thinking is part of an answer.
  const token = /<+[^<>\s]+>+|\[\/?[A-Z_]+\]/.exec(text)?.[0];
  if (token !== undefined) return /think/i.test(token) ? undefined : token;
  const words = text.trim();
  return form.test(words) ? words : undefined;
}
