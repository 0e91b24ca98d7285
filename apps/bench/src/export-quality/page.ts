// A run as one HTML file that opens from disk: for each model the divergence of every file as bars, and the table.
import { bytes, duration } from '../format';
import { barPlot } from '../page/bars';
import { escapeHtml } from '../page/escape';
import { PAGE_STYLE } from '../page/style';
import type { QualityResult, SubjectResult } from './result';
import { QUALITY_HEAD, qualityRows, small, subjectLine } from './table';
import type { BaseWeights } from './variants';
import { variantName } from './variants';

/** The page as text. */
export function qualityPage({ machine, started, seconds, subjects }: QualityResult): string {
  const about = `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${started.slice(0, 10)}, ${duration(seconds)}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@qlora: what exporting costs</title>
<style>${PAGE_STYLE}</style>
<main>
<h1>What exporting costs</h1>
<p class="note">${escapeHtml(about)}</p>
<p>Each model was fine-tuned in 4 bits. The bars say how far what llama.cpp predicts on held-out text is from what the 4-bit model with its adapter predicts here: the Kullback-Leibler divergence in nats a token, with the size of the files behind it. Shorter is nearer.</p>
<p class="legend"><span class="ours">into the 4-bit weights that were trained against</span> <span class="script">into the original weights</span> <span class="native">merged and in 4 bits again</span> <span class="machine">no adapter</span></p>
${subjects.map(renderSubject).join('\n')}
</main>
</html>
`;
}

function renderSubject(subject: SubjectResult): string {
  const bars = subject.gguf.map((row) => {
    const { divergence } = row;
    const family = row.adapter === 'none' ? 'machine' : FAMILIES[row.weights];
    const text = `${small(divergence)} · ${bytes(row.bytes)}`;
    const hint = `cross entropy ${row.crossEntropy.toFixed(4)} nats, the same token at ${(100 * row.agreement).toFixed(1)} %`;
    const ends = {
      median: divergence,
      low: divergence,
      high: divergence,
      least: divergence,
      most: divergence,
    };
    return { label: variantName(row), family, text, hint, ...ends };
  });
  const line = (cell: 'td' | 'th', values: readonly string[]) =>
    `<tr>${values.map((value) => `<${cell}>${escapeHtml(value)}</${cell}>`).join('')}</tr>`;
  const rows = qualityRows(subject).map((values) => line('td', values));
  return `<h2>${escapeHtml(subject.name)}</h2>
<p class="note">${escapeHtml(subjectLine(subject))}</p>
<figure><div class="wide">${barPlot(bars, `divergence, ${subject.name}`)}</div></figure>
<div class="wide"><table><thead>${line('th', QUALITY_HEAD)}</thead><tbody>${rows.join('')}</tbody></table></div>`;
}

/** Classes of the page's style. */
const FAMILIES: Readonly<Record<BaseWeights, string>> = {
  'four-bit': 'ours',
  original: 'script',
  'four-bit again': 'native',
};
