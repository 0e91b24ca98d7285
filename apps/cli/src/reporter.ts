// How a verb speaks: to a person with progress bars and tables, or to a machine with one JSON object a line. Progress
// goes to standard error, results to standard output, so that a result can be piped.
import cliProgress from 'cli-progress';
import pc from 'picocolors';
import { printable } from './printable';

/** A bar with time left. */
export interface Progress {
  /** Moves to `done` of the total; `note` is shown behind the bar. */
  update(done: number, note?: string): void;
  stop(): void;
}

/** What verbs report to. */
export interface Reporter {
  readonly json: boolean;
  /** A line for people; left out in JSON mode. */
  say(line: string): void;
  /** Text for people that goes on where the last one ended; left out in JSON mode. */
  write(text: string): void;
  /** A warning, for both: standard error, or an event. */
  warn(line: string): void;
  /** An event for machines; left out otherwise. */
  event(name: string, data: Readonly<Record<string, unknown>>): void;
  /** @param format how numbers are shown: {@link bytes}, where they are bytes. */
  progress(label: string, total: number, format?: (count: number) => string): Progress;
}

/** Formats seconds as people say them. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** Formats a number of bytes. */
export function bytes(count: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

const running = new Set<Progress>();

/** Ends the progress bars that are still shown: after an error, whose place nobody knows. */
export function stopProgress(): void {
  for (const progress of running) progress.stop();
}

const silent: Progress = { update: () => {}, stop: () => {} };

/** A reporter that says nothing, for programs that call the verbs and speak for themselves. */
export const silentReporter: Reporter = {
  json: false,
  say: () => {},
  write: () => {},
  warn: () => {},
  event: () => {},
  progress: () => silent,
};

/** A reporter for a person, or for a machine with `json`. */
export function createReporter(json: boolean): Reporter {
  const emit = (name: string, data: Readonly<Record<string, unknown>>) => {
    process.stdout.write(`${JSON.stringify({ event: name, ...data })}\n`);
  };
  return {
    json,
    say: (line) => {
      if (!json) process.stdout.write(`${printable(line)}\n`);
    },
    write: (text) => {
      if (!json) process.stdout.write(printable(text));
    },
    warn: (line) => {
      if (json) emit('warning', { message: line });
      else process.stderr.write(`${pc.yellow('warning')} ${printable(line)}\n`);
    },
    event: (name, data) => {
      if (json) emit(name, data);
    },
    progress(label, total, format = String) {
      if (json)
        return tenths(
          (done, note) => emit('progress', { label, done, total, ...(note ? { note } : {}) }),
          total,
        );
      return process.stderr.isTTY ? bar(label, total, format) : lines(label, total, format);
    },
  };
}

function bar(label: string, total: number, format: (count: number) => string): Progress {
  const start = performance.now();
  const progress = new cliProgress.SingleBar(
    {
      format: `${label} {bar} {done}/${format(total)} {left} {note}`,
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
      clearOnComplete: false,
    },
    cliProgress.Presets.shades_classic,
  );
  progress.start(total, 0, { done: format(0), left: '', note: '' });
  const shown: Progress = {
    update: (done, note = '') =>
      progress.update(done, { done: format(done), left: timeLeft(start, done, total), note }),
    stop() {
      running.delete(shown);
      progress.stop();
    },
  };
  running.add(shown);
  return shown;
}

/** Where there is no terminal. */
function lines(label: string, total: number, format: (count: number) => string): Progress {
  const start = performance.now();
  return tenths((done, note) => {
    const left = timeLeft(start, done, total);
    process.stderr.write(`${label} ${format(done)}/${format(total)} ${left} ${note}\n`);
  }, total);
}

/** Speaks at each tenth of the way of what takes long, so that a log shows that it goes on. */
function tenths(say: (done: number, note: string) => void, total: number): Progress {
  const start = performance.now();
  let shown = 0;
  return {
    update(done, note = '') {
      const tenth = Math.floor((10 * done) / Math.max(1, total));
      if (tenth <= shown || performance.now() - start < 2000) return;
      shown = tenth;
      say(done, note);
    },
    stop: () => {},
  };
}

function timeLeft(start: number, done: number, total: number): string {
  if (done === 0) return '';
  if (done >= total) return `in ${duration((performance.now() - start) / 1000)}`;
  return `${duration(((performance.now() - start) / done / 1000) * (total - done))} left`;
}
