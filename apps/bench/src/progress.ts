// What a person sees while the benchmark runs: on a terminal a bar with the time left, elsewhere a line for each case.
import cliProgress from 'cli-progress';
import { duration } from './format';

/** Told of what is being done. */
export interface Progress {
  /** A line by itself. */
  say(line: string): void;
  /** The cases that will come, by the seconds that they take very roughly. */
  start(efforts: readonly number[]): void;
  nextCase(title: string): void;
  /** A step of the case, and the part of the case that is done. */
  step(step: string, done: number): void;
  stop(): void;
}

/** Turns done work into time left: what was done against what it was guessed to take corrects the guess for the rest. */
export function timeLeft(efforts: readonly number[], index: number, part: number, seconds: number): number {
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const done = sum(efforts.slice(0, index)) + (efforts[index] ?? 0) * part;
  const rest = sum(efforts) - done;
  return done > 0 ? (seconds / done) * rest : rest;
}

/** Progress on standard error. */
export function terminalProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let efforts: readonly number[] = [];
  let index = -1;
  let title = '';
  let begun = 0;
  let bar: cliProgress.SingleBar | undefined;
  const left = (part: number) => timeLeft(efforts, index, part, (performance.now() - begun) / 1000);
  return {
    say(line) {
      if (!stream.isTTY) stream.write(`${line}\n`);
    },
    start(all) {
      efforts = all;
      index = -1;
      begun = performance.now();
      if (!stream.isTTY) return;
      const format = '{bar} {case} · about {left} left · {title} · {step}';
      bar = new cliProgress.SingleBar(
        { format, stream, hideCursor: true, barsize: 16, clearOnComplete: true, linewrap: false },
        cliProgress.Presets.shades_classic,
      );
      bar.start(1, 0, { case: '', left: '', title: '', step: '' });
    },
    nextCase(next) {
      index++;
      title = next;
      if (!stream.isTTY)
        stream.write(`${index + 1}/${efforts.length} ${title}, about ${duration(left(0))} left\n`);
    },
    step(step, part) {
      bar?.update((index + part) / efforts.length, {
        case: `${index + 1}/${efforts.length}`,
        left: duration(left(part)),
        title,
        step,
      });
    },
    stop() {
      bar?.stop();
      bar = undefined;
    },
  };
}
