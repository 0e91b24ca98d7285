// The layout of a chat: what stands before and after each message. A layout can be written as one of Ollama's Go templates
// (go-template.ts), which cannot compute as Jinja does; `layoutText` is what that template gives.
import type { OllamaMessage } from './chat-render';

/** What stands around a message. */
export interface Around {
  readonly before: string;
  readonly after: string;
}

/** Where the system message goes. */
export type SystemPlace =
  /** A turn of its own, wherever it stands among the messages. */
  | ({ readonly kind: 'turn' } & Around)
  /** A turn before all others; `otherwise` stands there if there is no system message. */
  | ({ readonly kind: 'start'; readonly otherwise: string } & Around)
  /** Inside the first or last message, if that is a user's, in front of its text. */
  | ({ readonly kind: 'first-user' | 'last-user' } & Around)
  /** Nowhere. */
  | { readonly kind: 'ignored' };

/** A chat's layout. */
export interface ChatLayout {
  /** What every prompt begins with. */
  readonly start: string;
  readonly system: SystemPlace;
  readonly user: Around;
  readonly assistant: Around;
  /** What every prompt ends with: the beginning of the answer. */
  readonly answer: string;
  /** The system message of chats that have none. */
  readonly defaultSystem?: string | undefined;
}

/**
 * Text of a chat by a layout, as Ollama gives it: chat messages with the Modelfile's SYSTEM in front if they have no
 * system message there (server/routes.go), then the template, which sees all system messages joined as `.System` and
 * neighbours of one role joined to one message (template/template.go, `collate`).
 */
export function layoutText(layout: ChatLayout, chat: readonly OllamaMessage[]): string {
  const { start, system, user, assistant, answer, defaultSystem } = layout;
  const withSystem =
    defaultSystem !== undefined && chat[0]?.role !== 'system'
      ? [{ role: 'system', content: defaultSystem }, ...chat]
      : chat;
  const joined = withSystem
    .filter(({ role }) => role === 'system')
    .map(({ content }) => content)
    .join('\n\n');
  const messages: { role: string; content: string }[] = [];
  for (const { role, content } of withSystem) {
    const last = messages.at(-1);
    if (last?.role === role) last.content += `\n\n${content}`;
    else messages.push({ role, content });
  }

  let text = start;
  if (system.kind === 'start') {
    text += joined === '' ? system.otherwise : system.before + joined + system.after;
  }
  let pending = joined;
  messages.forEach(({ role, content }, i) => {
    if (role === 'system' && system.kind === 'turn') text += system.before + content + system.after;
    if (role === 'assistant') text += assistant.before + content + assistant.after;
    if (role !== 'user') return;
    text += user.before;
    const here = system.kind === 'first-user' || (system.kind === 'last-user' && i === messages.length - 1);
    if (here && pending !== '') {
      text += (system as Around).before + pending + (system as Around).after;
      pending = '';
    }
    text += content + user.after;
  });
  return text + answer;
}
