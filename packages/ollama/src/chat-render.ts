// A model's chat template (Jinja), rendered. Clock and BOS are taken out: a Modelfile is read on other days than it was
// written, and Ollama puts the BOS in front by itself where the GGUF file says so.
import { Template } from '@huggingface/jinja';

/** A message of a chat. */
export interface OllamaMessage {
  readonly role: string;
  readonly content: string;
}

/** What the special tokens of a chat template are. */
export interface ChatTokens {
  readonly bos?: string | undefined;
  readonly eos?: string | undefined;
  /** Whether the program that runs the model puts the BOS in front of every prompt. */
  readonly addBos: boolean;
}

/** A chat template that can be rendered. */
export interface ChatRenderer {
  /**
   * The text of a chat, without the BOS that the program adds.
   * @throws Error as the template raises it, for a chat that it does not take.
   */
  render(messages: readonly OllamaMessage[], options?: { readonly generate?: boolean }): string;
  /** Whether the text begins with the BOS. */
  readonly beginsWithBos: boolean;
  /** Whether the text has today's date in it. */
  readonly hasDate: boolean;
}

const HELLO: readonly OllamaMessage[] = [{ role: 'user', content: 'Hello' }];

/**
 * A renderer of a chat template.
 * @throws Error if the template cannot be parsed, or does not take a single message of a user.
 */
export function chatRenderer(source: string, { bos = '', eos = '', addBos }: ChatTokens): ChatRenderer {
  // transformers and Hugging Face's Jinja define strftime_now; under another name it is undefined, and templates that
  // ask `is defined` take their own fixed date.
  const clockless = parse(source.replaceAll(/\bstrftime_now\b/g, 'no_clock'));
  const raw = (template: Template, messages: readonly OllamaMessage[], generate: boolean) =>
    template.render({
      messages: messages.map((message) => ({ ...message })),
      // As transformers gives them (utils/chat_template_utils.py): defined, and None.
      tools: null,
      documents: null,
      add_generation_prompt: generate,
      bos_token: bos,
      eos_token: eos,
    });
  const hello = withoutClock(
    () => raw(clockless, HELLO, true),
    () => raw(new Template(source), HELLO, true),
  );
  const beginsWithBos = bos !== '' && hello.startsWith(bos);
  return {
    beginsWithBos,
    hasDate: /\bstrftime_now\b/.test(source) && raw(new Template(source), HELLO, true) !== hello,
    render(messages, { generate = true } = {}) {
      const text = raw(clockless, messages, generate);
      return addBos && beginsWithBos && text.startsWith(bos) ? text.slice(bos.length) : text;
    },
  };
}

function parse(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new Error(`it cannot be parsed (${(cause as Error).message})`, { cause });
  }
}

/** @throws Error saying so, where it is only the clock that is missing. */
function withoutClock(render: () => string, withClock: () => string): string {
  try {
    return render();
  } catch (error) {
    try {
      withClock();
    } catch {
      throw error;
    }
    throw new Error('it needs the day’s date');
  }
}
