// A layout as the Go template of a Modelfile's TEMPLATE. Ollama gives it `.Messages` (`.Role`, `.Content`) and `.System`
// (template/template.go, Execute). There are no trim marks in it: line breaks are those of the prompt.
import type { Around, ChatLayout } from './chat-layout';

/** TEMPLATE of a model without a chat template: the text as it is. It is Ollama's default, written out. */
export const PLAIN_TEMPLATE = '{{ .Prompt }}';

/** The Go template of a layout. */
export function goTemplate({ start, system, user, assistant, answer }: ChatLayout): string {
  const turn = ({ before, after }: Around, inFront = '') =>
    `${literal(before)}${inFront}{{ .Content }}${literal(after)}`;
  const roles: [string, string][] = [
    ['user', turn(user)],
    ['assistant', turn(assistant)],
  ];
  let head = literal(start);
  let range = '{{ range .Messages }}';
  if (system.kind === 'turn') roles.unshift(['system', turn(system)]);
  else if (system.kind === 'start') {
    const { before, after, otherwise } = system;
    const block = `${literal(before)}{{ .System }}${literal(after)}`;
    if (otherwise === before + after) head += block;
    else {
      const or = otherwise === '' ? '' : `{{ else }}${literal(otherwise)}`;
      head += `{{ if .System }}${block}${or}{{ end }}`;
    }
  } else if (system.kind === 'first-user') {
    const block = `${literal(system.before)}{{ $system }}${literal(system.after)}`;
    head += '{{ $system := .System }}';
    roles[0] = ['user', turn(user, `{{ if $system }}${block}{{ $system = "" }}{{ end }}`)];
  } else if (system.kind === 'last-user') {
    const block = `${literal(system.before)}{{ $.System }}${literal(system.after)}`;
    range = '{{ range $i, $_ := .Messages }}';
    roles[0] = [
      'user',
      turn(user, `{{ if and $.System (eq (len (slice $.Messages $i)) 1) }}${block}{{ end }}`),
    ];
  }
  const branches = roles.map(
    ([role, text], i) => `{{ ${i > 0 ? 'else ' : ''}if eq .Role "${role}" }}${text}`,
  );
  return `${head}${range}${branches.join('')}{{ end }}{{ end }}${literal(answer)}`;
}

/** Text of a template that stands for itself: braces, and runes that a Modelfile's parser drops, as Go strings. */
function literal(text: string): string {
  return text.replaceAll(/\{{2,}|\{$|(?:(?![ \t\n\r])[\p{C}\p{Z}])+|"""(?=\s*[\n\r])/gu, (part) => {
    const escaped = Array.from(part, (rune) => {
      const code = rune.codePointAt(0) as number;
      if (rune === '"') return '\\"';
      if (rune === '{') return rune;
      return code > 0xffff
        ? `\\U${code.toString(16).padStart(8, '0')}`
        : `\\u${code.toString(16).padStart(4, '0')}`;
    });
    return `{{ "${escaped.join('')}" }}`;
  });
}
