// The command line: verbs, their options and examples. Each verb's work is a file in `verbs/`; here is only what they are
// called and told.
import { createRequire } from 'node:module';
import { DEFAULT_SCHEMES, parseSchemes } from '@qlora/convert';
import { GGUF_TYPES, LORA_GGUF_TYPES, type LoraGgufType } from '@qlora/gguf-writer';
import type { WeightedAdapter } from '@qlora/peft/node';
import { codecNames, strategyNames } from '@qlora/quant-strategies';
import { SCHEDULES, type TrainingConfig } from '@qlora/trainer';
import { Command, Option } from 'commander';
import {
  adapters,
  names,
  number,
  positive,
  powerOfTwo,
  schemes,
  share,
  size,
  targetModules,
  whole,
} from './arguments';
import { askedQuantization, type QuantizationFlags } from './asked-quantization';
import { applyConfigFile } from './config-file';
import { BACKENDS } from './load';
import { createReporter, type Reporter } from './reporter';
import { analyze } from './verbs/analyze';
import { evaluate } from './verbs/evaluate';
import { DEFAULT_GGUF_TYPE, type ExportGgufOptions, exportGguf } from './verbs/export-gguf';
import { exportLoraGguf } from './verbs/export-lora-gguf';
import { type ExportQnatOptions, exportQnat } from './verbs/export-qnat';
import { generate } from './verbs/generate';
import { inspect } from './verbs/inspect';
import { type MergeVerbOptions, merge } from './verbs/merge';
import { quantize } from './verbs/quantize';
import { type TrainOptions, train } from './verbs/train';

// The manifest lies one folder up from both the source and the build.
const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

const overwrite = () => new Option('--overwrite', 'replace what is at --out').default(false);
const scheme = () =>
  new Option('--scheme <name>', 'codebook of the 4-bit codes (default: nf4)').choices(codecNames());
const blockSize = () =>
  new Option('--block-size <n>', 'values that share a scale (default: 64)').argParser(powerOfTwo(32, 4096));
const noDoubleQuant = () => new Option('--no-double-quant', 'keep the scales in f32 instead of 8 bits');
const adapter = () => new Option('--adapter <dir>', 'adapter folder, as PEFT has it');
const severalAdapters = () =>
  new Option(
    '--adapter <dir[:weight]>',
    'adapter folder, as PEFT has it, and how much of it; can be given several times',
  ).argParser(adapters);
const mergeBase = () =>
  new Option(
    '--base <dir>',
    'merge into the weights of this model, as they are, instead of those that the adapter was trained on',
  );
const sequenceLength = () => new Option('--sequence-length <n>', 'tokens of a sequence').argParser(whole(2));

const backend = () =>
  new Option('--backend <name>', 'what computes: wasm, or plain JavaScript; auto takes wasm where it runs')
    .choices([...BACKENDS])
    .default('auto');
const threads = () =>
  new Option('--threads <n>', 'threads that compute (default: QLORA_THREADS, or one a core)').argParser(
    whole(1, 256),
  );

/** A verb that writes a model folder, with the options that all of them have. */
function writesFolder(command: Command): Command {
  return command
    .requiredOption('--out <dir>', 'folder to write')
    .addOption(
      new Option('--max-shard-size <size>', 'split weights into files of at most this size: 5GB, 500MB')
        .argParser(size)
        .default(5e9, '5GB'),
    )
    .addOption(
      new Option('--resume', 'go on after the last complete file of an interrupted run').default(false),
    )
    .addOption(
      new Option('--shard <i/n>', 'make only the i-th of n shares of the files; then --join').argParser(
        share,
      ),
    )
    .addOption(new Option('--join', 'put the files of all shares together').default(false))
    .addOption(threads())
    .addOption(overwrite());
}

/** The flags of `train` and `export qnat` that are grouped before they are handed on. */
type TrainFlags = Omit<TrainOptions, 'training' | 'quantization'> & TrainingConfig & QuantizationFlags;
/** The flags of a verb that takes several adapters, each an `--adapter`. */
type Adapted<T> = Omit<T, 'adapters'> & { readonly adapter?: readonly WeightedAdapter[] };

// What adapters are merged into, for the help of the verbs that merge.
const MERGED_INTO =
  'Adapters are merged, in f32, into the weights that they were trained on: those in 4 bits, dequantized. Of a model that is\nnot in 4 bits they are made again, where the adapter says how it was trained; those of PEFT do not, and go into the\nweights as they are. --base MODEL merges into the weights of that model, as they are.';

/**
 * The whole command. What it cannot parse is thrown as commander's `CommanderError`, after a message to standard error.
 *
 * @param options.silent leave that message to the caller.
 */
export function createProgram({ silent = false } = {}): Command {
  const program = new Command('qlora')
    .exitOverride()
    .configureOutput(silent ? { writeErr: () => {} } : {})
    .description('Quantize, fine-tune, evaluate, merge and export language models, with no Python.')
    .version(version)
    .option('--json', 'one JSON object a line on standard output, for machines')
    .showHelpAfterError('(add --help for what can be said)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
A whole run:
  $ qlora train MODEL --data notes.txt --out my-adapter
  $ qlora generate MODEL --adapter my-adapter --prompt "Once"
  $ qlora export gguf MODEL --adapter my-adapter --out my-model.gguf --type q8_0`,
    );

  /** Runs a verb with its options, of type T as its flags above it say, and the reporter that was asked for. */
  const run =
    <T>(body: (model: string, options: T, reporter: Reporter) => Promise<unknown>) =>
    async (model: string, _: unknown, command: Command) => {
      const { json = false } = command.optsWithGlobals<{ json?: boolean }>();
      await body(model, command.opts() as T, createReporter(json));
    };

  writesFolder(
    program
      .command('quantize')
      .description(
        'write a checkpoint with its linear layers in 4 bits, as bitsandbytes and transformers load it',
      )
      .argument('<model>', 'folder of a Hugging Face checkpoint of any architecture'),
  )
    .addOption(scheme())
    .addOption(blockSize())
    .addOption(noDoubleQuant())
    .addOption(
      new Option(
        '--skip-modules <names>',
        'linear layers to leave as they are, beside the output embedding: down_proj,model.layers.0',
      ).argParser(names),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ qlora quantize ./SmolLM2-135M --out ./SmolLM2-135M-nf4\n  $ qlora quantize ./Llama-70B --out ./Llama-70B-nf4 --shard 2/8\n  $ qlora quantize ./Llama-70B --out ./Llama-70B-nf4 --join\n\nOf eight machines that see the same folders, each runs the second with a number of its own; when all are done, one runs\nthe third. What was interrupted goes on with --resume.',
    )
    .action(run(quantize));

  const training = program
    .command('train')
    .description('train LoRA adapters on the frozen 4-bit model and write them as PEFT does')
    .argument('<model>', 'folder of a Hugging Face checkpoint; quantized on the way if it is not in 4 bits')
    .requiredOption(
      '--data <file>',
      'text, or .jsonl with "text", "prompt" and "completion", or "messages" a line',
    )
    .requiredOption('--out <dir>', 'adapter folder to write')
    .addOption(new Option('--eval-data <file>', 'held-out data, measured before and after'))
    .addOption(new Option('--rank <n>', 'rank of the adapters').argParser(whole()).default(16))
    .addOption(
      new Option('--alpha <x>', 'scaling numerator; scaling is alpha / rank').argParser(positive).default(32),
    )
    .addOption(
      new Option('--lora-dropout <p>', "dropout on the adapters' input")
        .argParser(number(0, 0.99))
        .default(0),
    )
    .addOption(
      new Option('--target-modules <names>', 'all-linear, or names like q_proj,v_proj')
        .argParser(targetModules)
        .default('all-linear'),
    )
    .addOption(new Option('--steps <n>', 'optimizer steps').argParser(whole()).conflicts('epochs'))
    .addOption(
      new Option('--epochs <x>', 'times through the data, if --steps is not given')
        .argParser(positive)
        .default(1),
    )
    .addOption(new Option('--batch-size <n>', 'sequences in a batch').argParser(whole()).default(4))
    .addOption(
      new Option('--gradient-accumulation <n>', 'batches that make one step').argParser(whole()).default(1),
    )
    .addOption(sequenceLength())
    .addOption(new Option('--learning-rate <x>', 'peak learning rate').argParser(positive).default(2e-4))
    .addOption(
      new Option('--schedule <name>', 'what follows the warm-up').choices([...SCHEDULES]).default('cosine'),
    )
    .addOption(
      new Option('--warmup <x>', 'warm-up: steps from 1 on, or a part of all steps')
        .argParser(number(0))
        .default(0.03),
    )
    .addOption(
      new Option('--max-grad-norm <x>', 'clip gradients to this global norm; 0 does not')
        .argParser(number(0))
        .default(1),
    )
    .addOption(
      new Option(
        '--gradient-checkpointing',
        'compute blocks again in the backward pass: less memory, more time, the same result',
      ).default(false),
    )
    .addOption(new Option('--weight-decay <x>', 'decoupled weight decay').argParser(number(0)).default(0))
    .addOption(new Option('--seed <n>', 'the same seed gives the same bytes').argParser(whole(0)).default(0))
    .addOption(scheme())
    .addOption(blockSize())
    .addOption(noDoubleQuant())
    .addOption(backend())
    .addOption(threads())
    .addOption(new Option('--config <file>', 'options from a YAML file, by their long names'))
    .addOption(overwrite())
    .addHelpText(
      'after',
      '\nThe default sequence length is 128, or the context of the model if that is shorter.\n\nExamples:\n  $ qlora train MODEL --data shakespeare.txt --out adapter --steps 200\n  $ qlora train MODEL --data chat.jsonl --out adapter --rank 8 --alpha 16 --target-modules q_proj,v_proj\n  $ qlora train MODEL --data notes.txt --out adapter --config train.yaml',
    )
    .action(
      run((model, flags: TrainFlags, reporter) => {
        const { scheme, blockSize, doubleQuant, ...rest } = flags;
        const quantization = askedQuantization({ scheme, blockSize, doubleQuant });
        return train(model, { ...rest, training: rest, quantization }, reporter);
      }),
    );
  // Before commander looks for options that are missing or do not go together, so that the file counts in both.
  training.on('option:config', (path: string) => applyConfigFile(training, path));

  program
    .command('eval')
    .description('mean cross entropy per token and perplexity of a text')
    .argument('<model>', 'folder of a checkpoint, plain or in 4 bits')
    .requiredOption('--data <file>', 'text or .jsonl')
    .addOption(adapter())
    .addOption(sequenceLength())
    .addOption(new Option('--limit <n>', 'only the first so many sequences').argParser(whole()))
    .addOption(backend())
    .addOption(threads())
    .addHelpText(
      'after',
      '\nEach window of tokens comes after a begin token, where the tokenizer has one. The default\nsequence length is 512, or the context of the model if that is shorter.\n\nExample:\n  $ qlora eval MODEL --adapter adapter --data held-out.txt',
    )
    .action(run(evaluate));

  program
    .command('generate')
    .description('text that follows a prompt')
    .argument('<model>', 'folder of a checkpoint, plain or in 4 bits')
    .requiredOption('--prompt <text>', 'what to go on from')
    .addOption(adapter())
    .addOption(new Option('--max-tokens <n>', 'most tokens to add').argParser(whole()).default(128))
    .addOption(
      new Option('--temperature <x>', '0 takes the likeliest token always').argParser(number(0)).default(0),
    )
    .addOption(
      new Option('--top-p <p>', 'keep the likeliest tokens up to this probability')
        .argParser(number(0.000001, 1))
        .default(1),
    )
    .addOption(new Option('--seed <n>', 'seed of sampling').argParser(whole(0)).default(0))
    .addOption(backend())
    .addOption(threads())
    .addHelpText(
      'after',
      '\nExample:\n  $ qlora generate MODEL --adapter adapter --prompt "Once upon a time" --temperature 0.8 --top-p 0.95',
    )
    .action(run(generate));

  writesFolder(
    program
      .command('merge')
      .description('write base and adapter as one dense checkpoint')
      .argument(
        '<model>',
        'folder of a checkpoint; if it is in 4 bits, the dequantized weights are merged into',
      ),
  )
    .addOption(severalAdapters().makeOptionMandatory())
    .addOption(mergeBase())
    .addOption(
      new Option('--dtype <type>', 'type of the weights').choices(['f32', 'f16', 'bf16']).default('f16'),
    )
    .addHelpText(
      'after',
      `\n${MERGED_INTO}\n\nExamples:\n  $ qlora merge MODEL-nf4 --adapter adapter --out merged --dtype bf16\n  $ qlora merge MODEL-nf4 --adapter pirate:0.7 --adapter poet:0.3 --out merged`,
    )
    .action(
      run((model, { adapter, ...flags }: Adapted<MergeVerbOptions>, reporter) =>
        merge(model, { ...flags, adapters: adapter ?? [] }, reporter),
      ),
    );

  const exporting = program.command('export').description('write a model as a single file');
  exporting
    .command('gguf')
    .description('a GGUF file that llama.cpp runs')
    .argument('<model>', 'folder of a checkpoint, plain or in 4 bits, or a QNAT file')
    .requiredOption('--out <file>', 'file to write')
    .addOption(
      new Option('--type <type>', 'type of the matrices').choices([...GGUF_TYPES]).default(DEFAULT_GGUF_TYPE),
    )
    .addOption(severalAdapters())
    .addOption(mergeBase())
    .option('--imatrix <file>', "importance matrix of llama.cpp's llama-imatrix, for types of few bits")
    .option(
      '--split-max-size <size>',
      'size of a file at most, as 4GB or 500MB; larger models take several',
      size,
    )
    .addOption(
      new Option('--ollama', 'write a Modelfile beside it: template, stop words, sampling').default(false),
    )
    .option('--name <text>', "the model's name in the file (default: the name of the folder)")
    .option('--pre <name>', "name of llama.cpp's pre-tokenizer, where the tokenizer's is not recognized")
    .addOption(threads())
    .addOption(overwrite())
    .addHelpText(
      'after',
      `\n${MERGED_INTO}\n\nExamples:\n  $ qlora export gguf MODEL-nf4 --adapter adapter --out model.gguf\n  $ qlora export gguf MODEL-nf4 --adapter adapter --base MODEL --out model.gguf --type q4_k_m --ollama\n  $ qlora export gguf model.qnat --out model.gguf --split-max-size 2GB`,
    )
    .action(
      run((model, { adapter, ...flags }: Adapted<ExportGgufOptions>, reporter) =>
        exportGguf(model, { ...flags, adapters: adapter }, reporter),
      ),
    );
  exporting
    .command('lora-gguf')
    .description('a GGUF file of an adapter, which llama.cpp adds to the base when it runs')
    .argument('<adapter>', 'adapter folder, as PEFT has it')
    .requiredOption(
      '--base <dir>',
      'folder of the model that it was trained on; its config.json is enough, weights are checked if they are there',
    )
    .requiredOption('--out <file>', 'file to write')
    .addOption(
      new Option('--type <type>', 'type of the matrices')
        .choices([...LORA_GGUF_TYPES])
        .default('f32' satisfies LoraGgufType),
    )
    .option(
      '--ollama <from>',
      "write a Modelfile beside it, from this GGUF file of the base, or this model of Ollama's library",
    )
    .addOption(overwrite())
    .addHelpText(
      'after',
      '\nllama.cpp takes it beside a GGUF file of the base, which `export gguf` writes:\nllama-completion -m base.gguf --lora adapter.gguf -p "Once"\n\nExample:\n  $ qlora export lora-gguf adapter --base MODEL --out adapter.gguf',
    )
    .action(run(exportLoraGguf));
  exporting
    .command('qnat')
    .description('a QNAT file: the 4-bit model with config and tokenizer')
    .argument('<model>', 'folder of a checkpoint; quantized on the way if it is not in 4 bits')
    .requiredOption('--out <file>', 'file to write')
    .addOption(scheme())
    .addOption(
      new Option('--strategy <name>', 'how scales are laid out (default: blockwise)').choices(
        strategyNames(),
      ),
    )
    .addOption(blockSize())
    .addOption(noDoubleQuant())
    .addOption(threads())
    .addOption(overwrite())
    .addHelpText('after', '\nExample:\n  $ qlora export qnat MODEL --out model.qnat --strategy zero-point')
    .action(
      run((model, flags: QuantizationFlags & Omit<ExportQnatOptions, 'quantization'>, reporter) => {
        const { out, overwrite, threads } = flags;
        const quantization = askedQuantization(flags);
        return exportQnat(model, { out, overwrite, threads, quantization }, reporter);
      }),
    );

  program
    .command('analyze')
    .description('what quantization costs the weights of a model: errors compared across schemes')
    .argument('<model>', 'folder of a Hugging Face checkpoint of any architecture and size, not in 4 bits')
    .addOption(
      new Option('--schemes <list>', 'what to compare, see below')
        .argParser(schemes)
        .default(parseSchemes(DEFAULT_SCHEMES), DEFAULT_SCHEMES),
    )
    .addOption(
      new Option(
        '--tensors <names>',
        'tensors with one of these in their names, instead of the linear layers: q_proj,embed_tokens',
      ).argParser(names),
    )
    .addOption(
      new Option('--per-tensor', 'a row for each tensor (with --json there always is one)').default(false),
    )
    .addOption(new Option('--html <file>', 'write a page with plots and tables'))
    .addOption(new Option('--overwrite', 'replace the page that is at --html').default(false))
    .addOption(threads())
    .addHelpText(
      'after',
      `\nA scheme is a codec (${codecNames().join(', ')}), and after slashes what is not as in the QLoRA paper: a strategy\n(${strategyNames().join(', ')}), the number of values that share a scale (64), plain for scales in f32\ninstead of 8 bits: nf4, nf4/128, fp4/zero-point/32/plain.\n\nExamples:\n  $ qlora analyze ./SmolLM2-135M --html analysis.html\n  $ qlora analyze ./SmolLM2-135M --schemes nf4,nf4/plain,nf4/128/plain --per-tensor\n  $ qlora analyze ./SmolLM2-135M --tensors embed_tokens,lm_head --json`,
    )
    .action(run(analyze));

  program
    .command('inspect')
    .description('tensors, types, shapes, sizes and metadata of a file or folder')
    .argument('<path>', 'a safetensors, GGUF or QNAT file, a model folder or an adapter folder')
    .addHelpText('after', '\nExample:\n  $ qlora inspect model.gguf')
    .action(run((path, _: object, reporter) => inspect(path, reporter)));

  return program;
}
