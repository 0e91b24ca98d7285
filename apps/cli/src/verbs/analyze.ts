// qlora analyze: what quantization costs the weights of a model, scheme by scheme and tensor by tensor.
import { type AnalyzeFolderOptions, analyzeFolder } from '@qlora/convert/node';
import { checkKnownModel } from '@qlora/models';
import type { QuantizationConfig } from '@qlora/quant-strategies';
import { QloraError } from '@qlora/tensor';
import { writeFileAtomic } from '@qlora/tensor/node';
import { type Analysis, advice, describeAnalysis, type Row, unbeatenSchemes } from '../analysis';
import { ANALYSIS_OPENING, renderAnalysis } from '../analysis-page';
import { kindTable, schemeTable, tensorTable, worstTable } from '../analysis-table';
import { byteProgress } from '../byte-progress';
import { checkOutFile } from '../output';
import type { Reporter } from '../reporter';

/** Options of {@link analyze}. */
export interface AnalyzeOptions {
  /** What is compared. Default: the scheme of the QLoRA paper, and what changes one thing about it. */
  readonly schemes?: readonly QuantizationConfig[];
  /** Parts of names: the tensors that have one of them in theirs, instead of the weights of linear layers. */
  readonly tensors?: readonly string[];
  /** A row for each tensor, instead of the worst ones. Default false. */
  readonly perTensor?: boolean;
  /** A page to write, with plots. */
  readonly html?: string;
  /** Replace a page that is there. Default false. */
  readonly overwrite?: boolean;
  /** Threads that compute. Default: one a core. */
  readonly threads?: number | undefined;
}

/** Compares schemes on the weights of a model folder, which is only read. */
export async function analyze(model: string, options: AnalyzeOptions, reporter: Reporter): Promise<Analysis> {
  const { perTensor = false, html, overwrite = false } = options;
  if (overwrite && html === undefined)
    throw new QloraError({ what: '--overwrite says nothing without --html', fix: 'leave it out' });
  if (html !== undefined) {
    const what = { magic: ANALYSIS_OPENING, kind: 'page of qlora analyze', option: '--html' };
    await checkOutFile(html, { overwrite, ...what });
  }
  const progress = byteProgress('analyzing', reporter);
  const how: AnalyzeFolderOptions = {
    ...{ schemes: options.schemes, tensors: options.tensors, threads: options.threads },
    check: ({ config, source, path }) => checkKnownModel(config, source, path),
    onProgress: progress.update,
  };
  const found = await analyzeFolder(model, how).finally(() => progress.stop());
  const analysis = describeAnalysis(found);
  if (html !== undefined) await writeFileAtomic(html, await renderAnalysis(model, analysis));
  tellMachine(analysis, { model, html }, reporter);
  if (reporter.json) return analysis;

  const values = analysis.tensors.reduce((sum, tensor) => sum + tensor.values, 0);
  reporter.say(`${model}: ${analysis.tensors.length} tensors, ${values.toLocaleString('en')} values`);
  const reasons = new Map<string, number>();
  for (const { reason } of found.dense) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const left = [...reasons].map(([reason, count]) => (count === 1 ? reason : `${reason} (${count})`));
  if (left.length > 0) reporter.say(`left out, unless named with --tensors: ${left.join(', ')}`);
  for (const table of [perTensor ? tensorTable : worstTable, kindTable, schemeTable])
    reporter.say(table(analysis));
  reporter.say(advice(analysis));
  reporter.say(
    'signal to noise says how near the weights stay; what that does to a model, qlora eval measures',
  );
  if (html !== undefined) reporter.say(`page with plots written to ${html}`);
  return analysis;
}

/** An event for each tensor, and one for all. */
function tellMachine(
  { schemes, tensors, kinds, total }: Analysis,
  { model, html }: { readonly model: string; readonly html: string | undefined },
  reporter: Reporter,
): void {
  const named = (row: Row) => row.map(({ values: _, ...figures }, i) => ({ scheme: schemes[i], ...figures }));
  for (const { figures, ...tensor } of tensors)
    reporter.event('tensor', { ...tensor, schemes: named(figures) });
  reporter.event('analyzed', {
    model,
    tensors: tensors.length,
    values: tensors.reduce((sum, tensor) => sum + tensor.values, 0),
    schemes: named(total),
    kinds: kinds.map(({ figures, ...kind }) => ({ ...kind, schemes: named(figures) })),
    unbeaten: unbeatenSchemes(total).map((i) => schemes[i]),
    ...(html === undefined ? {} : { html }),
  });
}
