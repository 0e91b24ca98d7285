// The goals that the project has set itself for speed, and what a run says of them. Each is a ratio of speeds within one
// run, or a peak of memory. `least` is what must be, `aim` what is hoped for.
import { bytes, digits, threadCount } from './format';
import type { BenchResult, MeasuredCase } from './result';
import { type Ratio, speedRatio } from './statistics';
import { contenderOf, isDisturbed } from './versus';

/** A goal for one contender in one case. */
interface Goal {
  readonly what: string;
  readonly caseId: string;
  readonly contender: string;
  readonly kind: 'least' | 'aim';
  /** So many times as fast as another contender of the case, or no more than so many bytes. */
  readonly target:
    | { readonly times: number; readonly as: string }
    | { readonly bytes: number; readonly of: string };
}

/** A goal and what was measured. */
export interface Mark {
  readonly what: string;
  readonly kind: 'least' | 'aim';
  /** `1.3 × jax-js@1`. */
  readonly target: string;
  /** `1.42 × (1.39 … 1.44)`; who is missing, if nothing was measured. */
  readonly measured: string;
  /** `disturbed`: other programs took cores from one of the two, so the ratio says nothing. */
  readonly state: 'met' | 'missed' | 'disturbed' | 'not measured';
  /** How much is missing: `1.3 × as fast would meet it`. */
  readonly missing: string;
}

const SQUARE = '4096x4096';

/** All goals, for a run whose most threads are `all`. */
function goals(all: number): Goal[] {
  const speed = (
    what: string,
    caseId: string,
    contender: string,
    kind: Goal['kind'],
    times: number,
    as: string,
  ): Goal => ({ what, caseId, contender, kind, target: { times, as } });
  const list: Goal[] = [];

  const quantize = (kind: Goal['kind'], times: number, as: string) =>
    list.push(speed('quantize NF4', `quantize/${SQUARE}`, 'qlora@1', kind, times, as));
  quantize('least', 5, 'bitsandbytes@1');
  quantize('aim', 0.75, 'copy@1');
  const dequantize = (kind: Goal['kind'], times: number, as: string) =>
    list.push(speed('dequantize NF4', `dequantize/${SQUARE}`, 'qlora@1', kind, times, as));
  dequantize('least', 1, 'bitsandbytes@1');
  dequantize('aim', 1, 'copy@1');
  dequantize('aim', 1, 'copy-new@1');

  for (const direction of ['forward', 'backward'] as const) {
    const sign = direction === 'forward' ? 'x · Wᵀ' : 'dy · W';
    // Backward, bitsandbytes has no fused kernel: what it has is decoding and a dense product.
    const native = direction === 'forward' ? 'bitsandbytes-fused' : 'bitsandbytes-f32';
    for (const rows of [16, 128, 512]) {
      const caseId = `matmul-${direction}/${SQUARE}/rows-${rows}`;
      const what = `${sign}, ${rows} rows`;
      for (const peer of ['tfjs-wasm@1', 'jax-js@1'])
        list.push(speed(what, caseId, 'qlora@1', 'least', 1.3, peer));
      list.push(speed(what, caseId, 'qlora@1', 'aim', 0.6, `${native}@1`));
    }
    const single = `matmul-${direction}/${SQUARE}/rows-1`;
    list.push(speed(`${sign}, 1 row`, single, 'qlora@1', 'least', 0.25, `${native}@1`));
    list.push(speed(`${sign}, 1 row`, single, 'qlora@1', 'aim', 0.5, `${native}@1`));
    if (all === 1) continue;
    for (const rows of [128, 512]) {
      const caseId = `matmul-${direction}/${SQUARE}/rows-${rows}`;
      const what = `${sign}, ${rows} rows: ${threadCount(all)} over one`;
      // The goal is for two threads; that each further one adds as much is not asked for.
      list.push(speed(what, caseId, `qlora@${all}`, 'least', 1.8, 'qlora@1'));
      list.push(speed(what, caseId, `qlora@${all}`, 'aim', 1.9, 'qlora@1'));
    }
  }

  const layer = `layer/${SQUARE}/rows-512/rank-16`;
  for (const threads of new Set([1, all])) {
    const what = `layer forward and backward, ${threadCount(threads)}`;
    list.push(speed(what, layer, `qlora@${threads}`, 'least', 3, `qlora-rs@${threads}`));
    list.push(speed(what, layer, `qlora@${threads}`, 'aim', 1, `peft@${threads}`));
  }

  const training = 'training/smollm2-135m/1x512';
  const trainer = `qlora@${all}`;
  list.push({
    what: 'training step with checkpointing: memory',
    caseId: `${training}/checkpointing`,
    contender: trainer,
    kind: 'least',
    target: { bytes: 2.5e9, of: 'process' },
  });
  for (const [caseId, how] of [
    [training, 'without checkpointing'],
    [`${training}/checkpointing`, 'with checkpointing'],
  ] as const)
    list.push(speed(`training step ${how}`, caseId, trainer, 'aim', 1, `peft@${all}`));
  return list;
}

/** What a run says of the goals; nothing if it measured none of their cases. */
export function evaluateMarks(result: BenchResult): Mark[] {
  const cases = new Map(result.cases.map((measured) => [measured.id, measured]));
  return goals(Math.max(...result.settings.threads)).flatMap((goal) => {
    const measured = cases.get(goal.caseId);
    return measured ? [evaluate(goal, measured)] : [];
  });
}

function evaluate(goal: Goal, measured: MeasuredCase): Mark {
  const { what, kind, target } = goal;
  const contender = contenderOf(measured, goal.contender);
  const unmeasured = (goalText: string, who: string): Mark => ({
    what,
    kind,
    target: goalText,
    measured: `${who} was not measured`,
    state: 'not measured',
    missing: '',
  });
  if ('bytes' in target) {
    const goalText = `at most ${bytes(target.bytes)}`;
    const peak = contender?.memory?.[target.of];
    if (peak === undefined) return unmeasured(goalText, `memory of ${goal.contender}`);
    const met = peak <= target.bytes;
    return {
      what,
      kind,
      target: goalText,
      measured: bytes(peak),
      state: met ? 'met' : 'missed',
      missing: met ? '' : `${bytes(peak - target.bytes)} too much`,
    };
  }
  const goalText = `${target.times} × ${target.as}`;
  const other = contenderOf(measured, target.as);
  if (!contender || !other) return unmeasured(goalText, contender ? target.as : goal.contender);
  const ratio = speedRatio(contender.ms, other.ms);
  const base = { what, kind, target: goalText, measured: ratioText(ratio) };
  if ([contender, other].some(isDisturbed))
    return { ...base, state: 'disturbed', missing: 'other programs took cores: measure again' };
  const met = ratio.value >= target.times;
  return {
    ...base,
    state: met ? 'met' : 'missed',
    missing: met ? '' : `needs ${digits(target.times / ratio.value)} × its speed`,
  };
}

/** A ratio with its spread. */
export const ratioText = ({ value, low, high }: Ratio) =>
  `${digits(value)} × (${digits(low)} … ${digits(high)})`;
