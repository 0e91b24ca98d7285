// Values of a Modelfile (Ollama's parser/parser.go, ParseFile). Between quotes everything is literal; there is no escape.
// A value ends at the first line break where it is closed, and runes that Go's strconv.IsPrint does not know are dropped,
// but for tabs and line breaks.

/** Runes that Ollama's parser drops: control, format and unassigned ones, and spaces other than U+0020. */
const DROPPED = /(?![ \t\n\r])[\p{C}\p{Z}]/u;

/** True if a Modelfile can hold the text: nothing of it is dropped, and no line closes the quotes. */
export function isWritable(text: string): boolean {
  return !DROPPED.test(text) && !/"""\s*[\n\r]/.test(text);
}

/** A writable text in quotes: in triple ones where it has several lines or would be taken for such. */
export function quoted(text: string): string {
  return /[\n\r]|^""/.test(text) ? `"""${text}"""` : `"${text}"`;
}
