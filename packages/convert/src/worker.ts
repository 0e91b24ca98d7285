// The program of a worker thread: one request at a time, by the name of a task.
import { parentPort } from 'node:worker_threads';
import { type Problem, QloraError } from '@qlora/tensor';
import { TASKS } from './tasks';
import { arraysIn } from './transfer';

/** What a worker says: what came out, or what went wrong. */
export type Reply = { readonly result: unknown } | { readonly problem?: Problem; readonly message: string };

parentPort?.on('message', ({ task, input }: { task: string; input: never }) => {
  let reply: Reply;
  try {
    const known = TASKS.get(task);
    if (!known) throw new Error(`no task "${task}"`);
    reply = { result: known.run(input) };
  } catch (error) {
    reply = replyOf(error);
  }
  parentPort?.postMessage(reply, 'result' in reply ? arraysIn(reply.result) : []);
});

/** An error in a form that can be sent. */
function replyOf(error: unknown): Reply {
  if (!(error instanceof QloraError)) return { message: String((error as Error)?.stack ?? error) };
  const { message, what, where, fix, rule } = error;
  const optional = { ...(where && { where }), ...(fix && { fix }), ...(rule && { rule }) };
  return { message, problem: { what, ...optional } };
}
