// What is exported: a model, the text that it is fine-tuned on, and what of that is held out.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { QloraError } from '@qlora/tensor';
import { DEMO_FOLDER, DEMO_MODEL_FOLDER, ROOT_FOLDER } from '../folders';

/** A model and how it is fine-tuned. */
export interface Subject {
  readonly name: string;
  readonly folder: string;
  /** JSON lines, or text. */
  readonly data: string;
  /** Tokens of a window, in training and in measuring. */
  readonly sequenceLength: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** Stories told by a pirate, which the demo's models are fine-tuned on. */
export const PIRATES = join(DEMO_FOLDER, 'data/pirate.jsonl');
/** The wide model of the demo, made when it is needed. */
export const WIDE_MODEL = join(ROOT_FOLDER, '.cache/wide-model');

const SHARED = join(ROOT_FOLDER, '../shared');
const STORIES = join(SHARED, 'models/stories260K');
const SHAKESPEARE = join(SHARED, 'data/tinyshakespeare.txt');

/** A model that somebody names, fine-tuned as the demo does. */
export const subjectOf = (folder: string, data = PIRATES): Subject => ({
  name: folder,
  folder,
  data,
  sequenceLength: 192,
  steps: 60,
  batchSize: 4,
  learningRate: 1.5e-3,
});

/** The demo's wide model and its own, and stories260K where it is there. */
export function defaultSubjects(say: (line: string) => void): Subject[] {
  const wide = { ...subjectOf(WIDE_MODEL), name: 'wide' };
  const demo = { ...subjectOf(DEMO_MODEL_FOLDER), name: 'demo' };
  if (!existsSync(STORIES) || !existsSync(SHAKESPEARE)) {
    say(`stories260K is left out: ${STORIES} or ${SHAKESPEARE} is not there`);
    return [wide, demo];
  }
  const stories = { ...subjectOf(STORIES, SHAKESPEARE), name: 'stories260K' };
  return [wide, demo, { ...stories, steps: 300, batchSize: 2, learningRate: 3e-3 }];
}

/**
 * Trains the wide model, which took a quarter of an hour on two busy cores.
 * @param onStep called with the part that is done.
 */
export async function makeWideModel(onStep: (part: number) => void): Promise<void> {
  const script = join(DEMO_FOLDER, 'src/train-model.ts');
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const child = spawn(
    process.execPath,
    ['--conditions=@qlora/source', '--import', tsx, script, '--wide', '--out', WIDE_MODEL],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const stop = () => child.kill();
  process.once('exit', stop);
  let problem = '';
  child.stderr.on('data', (chunk) => {
    problem = (problem + chunk).slice(-2000);
  });
  const ended = new Promise<number | null>((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  const done = stepsDone(onStep);
  createInterface({ input: child.stdout }).on('line', done);
  const code = await ended;
  process.off('exit', stop);
  if (code !== 0)
    throw new QloraError({
      what: `training the wide model ended with ${code}: ${problem.trim()}`,
      where: script,
      fix: 'run it by itself: npx pnpm --filter @qlora/demo train-model --wide',
    });
}

/** Turns what the script says into the part that is done: `… stories, N steps` for a phase, then `step N …`. */
export function stepsDone(onStep: (part: number) => void): (line: string) => void {
  // The second phase has a fifth of all steps.
  const phases: number[] = [];
  return (line) => {
    const [, steps] = /^\d+ stories, (\d+) steps$/.exec(line) ?? [];
    if (steps) phases.push(Number(steps));
    const [, step] = /^step (\d+) /.exec(line) ?? [];
    const [first = 1, second] = phases;
    const all = 1.25 * first;
    if (step) onStep(Math.min(1, ((second === undefined ? 0 : first) + Number(step)) / all));
  };
}
