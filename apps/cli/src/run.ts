// The command from arguments to exit code: what is wrong with the input is one message and exit code 1. Anything else that
// is thrown is a bug and comes through with its trace.
import { QloraError } from '@qlora/tensor';
import { CommanderError } from 'commander';
import pc from 'picocolors';
import { INTERRUPTED } from './convert-folder';
import { printable } from './printable';
import { createProgram } from './program';
import { stopProgress } from './reporter';

/**
 * Runs `qlora` with the arguments after its name, writing to standard output and standard error.
 * @returns the exit code: 0, 1 where the input was refused, 130 where Ctrl-C stopped the work.
 */
export async function run(args: readonly string[]): Promise<number> {
  const json = args.includes('--json');
  try {
    await createProgram({ silent: json }).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // A progress bar redraws itself on a timer; left alone it would write over the message and never end.
    stopProgress();
    if (error instanceof CommanderError) {
      if (json && error.exitCode !== 0) printJson(usageProblem(error));
      return error.exitCode;
    }
    if (!(error instanceof QloraError)) throw error;
    const { message, what, where, fix, rule } = error;
    if (json) printJson({ message, what, where, fix, rule });
    else process.stderr.write(`${pc.red('error')} ${printable(message)}\n`);
    return rule === INTERRUPTED ? 130 : 1;
  }
}

function printJson(problem: Readonly<Record<string, string | undefined>>): void {
  process.stdout.write(`${JSON.stringify({ event: 'error', ...problem })}\n`);
}

/** What commander refuses, in the form of a {@link QloraError}. */
function usageProblem({ message, code }: CommanderError): Record<string, string> {
  // Commander's own words for "the help was shown instead" are of no use to a machine.
  const what = code === 'commander.help' ? 'no verb is named' : message.replace(/^error: /, '');
  return { message: what, what, rule: code, fix: 'add --help for what can be said' };
}
