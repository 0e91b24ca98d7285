// Which layout a chat template has, found by rendering chats of marked messages and looking at what stands between the
// marks. What is found is then held to further chats; a template that gives another text for one of them has no layout
// that we know. Nothing depends on the names of tokens, so templates of families that nobody thought of are found too.
import { type ChatLayout, layoutText, type SystemPlace } from './chat-layout';
import type { ChatRenderer, OllamaMessage } from './chat-render';

/** What was found of a chat template. */
export interface DerivedLayout {
  readonly layout?: ChatLayout;
  /** Why there is none. */
  readonly reason?: string;
  /** What the chat template does with system messages that a layout cannot say. */
  readonly system?: 'refused' | 'ignored';
}

const SYSTEM = 'SystemMark';
const USERS = ['UserMarkA', 'UserMarkB', 'UserMarkC'] as const;
const ANSWERS = ['AnswerMarkA', 'AnswerMarkB'] as const;

const system = (content: string): OllamaMessage => ({ role: 'system', content });
/** Messages of user and assistant in turn. */
const talk = (...contents: readonly string[]): OllamaMessage[] =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));
const LONG_TALK = talk(USERS[0], ANSWERS[0], USERS[1], ANSWERS[1], USERS[2]);

/** Chats that every layout is held to: other contents than the marks, of several lines, in other scripts, and short. */
const CHATS: readonly (readonly OllamaMessage[])[] = [
  talk('Hi'),
  talk('Wie spät ist es?\n\nBitte genau.', '12:30.', 'Danke {x} [y] <z>'),
  talk('1', '2', '3', '4', '5', '6', '7'),
  talk('一', 'A line.\n- a list\n  - in it', '"quoted" & \'quoted\''),
];
const SYSTEMS = ['Be brief.', 'Two lines:\nthis is the second one.'];

class Unclear extends Error {}

/** Finds the layout of a chat template. */
export function deriveLayout(renderer: ChatRenderer): DerivedLayout {
  try {
    const { layout, system } = derive(renderer);
    for (const chat of CHATS) {
      hold(renderer, layout, chat);
      if (system !== 'refused') {
        for (const text of SYSTEMS) hold(renderer, layout, [{ role: 'system', content: text }, ...chat]);
      }
    }
    return { layout, ...(system && { system }) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

function hold(renderer: ChatRenderer, layout: ChatLayout, chat: readonly OllamaMessage[]): void {
  if (renderer.render(chat) !== layoutText(layout, chat)) {
    throw new Unclear(`it does more than put texts around messages (${chat.length} messages tried)`);
  }
}

function derive(renderer: ChatRenderer): { layout: ChatLayout; system?: 'refused' | 'ignored' } {
  const [head, toAnswer, toUser, toAnswer2, toUser2, end] = pieces(renderer.render(LONG_TALK), [
    ...[USERS[0], ANSWERS[0], USERS[1], ANSWERS[1], USERS[2]],
  ]) as [string, string, string, string, string, string];
  if (toAnswer !== toAnswer2 || toUser !== toUser2) throw new Unclear('turns differ from one another');

  // What ends a turn is seen best where nothing follows.
  const answerEnd = tail(renderer, talk(USERS[0], ANSWERS[0]), ANSWERS[0]);
  const userEnd = tail(renderer, talk(USERS[0]), USERS[0]);
  const rest = answerEnd !== undefined && toUser.startsWith(answerEnd) ? toUser.slice(answerEnd.length) : '';
  const userBefore = rest !== '' && head.endsWith(rest) ? rest : commonEnd(head, toUser);
  const userAfter = userEndOf(userEnd, toAnswer, end);
  const parts = {
    user: { before: userBefore, after: userAfter },
    assistant: {
      before: toAnswer.slice(userAfter.length),
      after: toUser.slice(0, toUser.length - userBefore.length),
    },
    answer: end.slice(userAfter.length),
  };
  const opening = head.slice(0, head.length - userBefore.length);

  let texts: [string, string];
  let atEnd = false;
  try {
    const short = renderer.render([system(SYSTEM), ...talk(USERS[0])]);
    if (!short.includes(SYSTEM)) {
      return { layout: { ...parts, start: opening, system: { kind: 'ignored' } }, system: 'ignored' };
    }
    const long = renderer.render([system(SYSTEM), ...LONG_TALK]);
    atEnd = long.indexOf(SYSTEM) > long.indexOf(USERS[0]);
    if (atEnd) {
      const all = pieces(long, [USERS[0], ANSWERS[0], USERS[1], ANSWERS[1], SYSTEM, USERS[2]]);
      texts = [without(all[4] as string, toUser), all[5] as string];
    } else {
      const [before, after] = pieces(long, [SYSTEM, USERS[0]]);
      texts = [before as string, after as string];
    }
  } catch (error) {
    if (error instanceof Unclear) throw error;
    // Chat templates that refuse system messages are used with their text in front of the first question.
    const place: SystemPlace = { kind: 'first-user', before: '', after: '\n\n' };
    return { layout: { ...parts, start: opening, system: place }, system: 'refused' };
  }

  const [before, after] = texts;
  if (atEnd) return { layout: { ...parts, start: opening, system: { kind: 'last-user', before, after } } };
  if (!after.endsWith(userBefore)) {
    const place: SystemPlace = { kind: 'first-user', before: without(before, head), after };
    return { layout: { ...parts, start: opening, system: place } };
  }
  const around = { before, after: after.slice(0, after.length - userBefore.length) };
  return { layout: { ...parts, ...ownTurn(renderer, parts, opening, around) } };
}

/** System messages that are turns of their own: how they begin, and what stands there without one. */
function ownTurn(
  renderer: ChatRenderer,
  parts: Pick<ChatLayout, 'user' | 'assistant' | 'answer'>,
  opening: string,
  around: { before: string; after: string },
): Pick<ChatLayout, 'start' | 'system' | 'defaultSystem'> {
  const { before, after } = around;
  const usual =
    opening.length > before.length + after.length && opening.startsWith(before) && opening.endsWith(after)
      ? opening.slice(before.length, opening.length - after.length)
      : undefined;
  // A part that begins prompts with and without a system message is no part of the latter.
  const start = usual === undefined && before.startsWith(opening) ? opening : '';
  const turn = { before: before.slice(start.length), after };
  const candidates: Pick<ChatLayout, 'start' | 'system' | 'defaultSystem'>[] = [];
  if (usual !== undefined || start === opening) {
    candidates.push({ start, system: { kind: 'turn', ...turn }, defaultSystem: usual });
  }
  const otherwise = opening.slice(start.length);
  candidates.push({ start, system: { kind: 'start', ...turn, otherwise }, defaultSystem: undefined });
  // The first that is right about a system message between others; else the last, which is right about one at the start.
  const odd = [...talk(USERS[0], ANSWERS[0]), system(SYSTEM), ...talk(USERS[1])];
  const right = candidates.find((candidate) => {
    try {
      return renderer.render(odd) === layoutText({ ...parts, ...candidate }, odd);
    } catch {
      return false;
    }
  });
  if (right) return right;
  const last = candidates.at(-1) as (typeof candidates)[0];
  if (usual === undefined) return last;
  return { ...last, system: { kind: 'start', ...turn, otherwise: '' }, defaultSystem: usual };
}

/** The texts around and between marks that come in this order, once each. */
function pieces(text: string, marks: readonly string[]): string[] {
  const found: string[] = [];
  let rest = text;
  for (const mark of marks) {
    const [before, ...after] = rest.split(mark);
    if (after.length !== 1) throw new Unclear('it leaves out, repeats or reorders messages');
    found.push(before as string);
    rest = after[0] as string;
  }
  return [...found, rest];
}

/** What follows the last mark of a chat that waits for no answer. */
function tail(renderer: ChatRenderer, chat: readonly OllamaMessage[], mark: string): string | undefined {
  try {
    return renderer.render(chat, { generate: false }).split(mark)[1];
  } catch {
    return undefined;
  }
}

/**
 * What ends a turn of the user, of the texts between it and an answer. Where no answer is asked for, some templates write the
 * end of the text in its place; then what is common is taken.
 */
function userEndOf(userEnd: string | undefined, toAnswer: string, end: string): string {
  const common = commonStart(toAnswer, end);
  if (userEnd === undefined || common.startsWith(userEnd)) return userEnd ?? common;
  return commonStart(userEnd, common);
}

function without(text: string, start: string): string {
  if (!text.startsWith(start)) throw new Unclear('a system message changes the turns');
  return text.slice(start.length);
}

function commonEnd(a: string, b: string): string {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length++;
  const common = length === 0 ? '' : a.slice(-length);
  // Not from the middle of a token.
  const cut = /^[^<[]*[>\]]/.exec(common)?.[0].length ?? 0;
  return common.length === a.length || common.length === b.length ? common : common.slice(cut);
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length++;
  if (length === a.length || length === b.length) return a.slice(0, length);
  return a.slice(0, length).replace(/[<[][^>\]]*$/, '');
}
