// The programs that are measured, ours among them: how each is started with a number of threads, and how the peers are
// installed. None of the peers is a dependency of the workspace; a peer that is not there is left out, by name.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BENCH_FOLDER, PEERS_FOLDER } from './folders';
import type { Command } from './session';

/** Programs that can be measured. */
export const PEER_NAMES = [
  'qlora',
  'copy',
  'tfjs-wasm',
  'jax-js',
  'onnxruntime',
  'python',
  'qlora-rs',
] as const;

/** One of {@link PEER_NAMES}. */
export type PeerName = (typeof PEER_NAMES)[number];

/** What is installed together. */
export type Bundle = 'js' | 'python' | 'rust';

/** A program that can be measured. */
export interface Peer {
  readonly name: PeerName;
  readonly title: string;
  /** What it is, in terms of fairness: how it is made to compute. */
  readonly how: string;
  /** Undefined for our own. */
  readonly bundle?: Bundle;
  /** A file without which it is surely absent. */
  readonly needs?: string;
  command(threads: number): Command;
}

/** Commands that install a bundle, to be run one after the other. */
export interface Installation {
  readonly title: string;
  readonly cwd: string;
  readonly commands: readonly (readonly [string, ...string[]])[];
}

const js = (...path: string[]) => join(PEERS_FOLDER, 'js', ...path);
const venv = join(PEERS_FOLDER, 'python', '.venv');
const python = join(PEERS_FOLDER, 'python');
const rust = join(PEERS_FOLDER, 'qlora-rs');
const windows = process.platform === 'win32';
const inVenv = (program: string) => join(venv, windows ? 'Scripts' : 'bin', program);
const binary = join(
  process.env.CARGO_TARGET_DIR ?? join(rust, 'target'),
  'release',
  `qlora-rs-driver${windows ? '.exe' : ''}`,
);

/** Relaxed SIMD is behind a flag before Node 22. Our packages switch it on themselves; jax-js gets it from us. */
const relaxedSimd =
  Number(process.versions.node.split('.')[0]) < 22 ? ['--experimental-wasm-relaxed-simd'] : [];

/** The Python that has the peers: QLORA_BENCH_PYTHON, else the one of `peers --install python`, else python3. */
export function pythonCommand(): string {
  return process.env.QLORA_BENCH_PYTHON || (existsSync(inVenv('python')) ? inVenv('python') : 'python3');
}

function ours(threads: number): Command {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return {
    command: process.execPath,
    args: [
      '--expose-gc',
      '--conditions=@qlora/source',
      '--import',
      tsx,
      join(BENCH_FOLDER, 'src/ours/driver.ts'),
    ],
    cwd: BENCH_FOLDER,
    env: { QLORA_BENCH_THREADS: String(threads), QLORA_THREADS: undefined },
  };
}

const node = (script: string, threads: number, flags: readonly string[] = []): Command => ({
  command: process.execPath,
  args: ['--expose-gc', ...flags, join(PEERS_FOLDER, script)],
  cwd: PEERS_FOLDER,
  env: { QLORA_BENCH_THREADS: String(threads) },
});

/** All of them. */
export const peers: readonly Peer[] = [
  {
    name: 'qlora',
    title: '@qlora',
    how: 'the packages of this repository, from their sources, through their public functions',
    command: ours,
  },
  {
    name: 'copy',
    title: 'copy',
    how: 'Float32Array.set and slice in Node: the same bytes, copied',
    command: (threads) => node('copy.mjs', threads),
  },
  {
    name: 'tfjs-wasm',
    title: 'TensorFlow.js',
    how: 'dense f32 on its WASM backend with SIMD, the weight laid out as it likes it; it has no threads in Node',
    bundle: 'js',
    needs: js('node_modules/@tensorflow/tfjs-backend-wasm/package.json'),
    command: (threads) => node('js/tfjs-wasm.mjs', threads),
  },
  {
    name: 'jax-js',
    title: 'jax-js',
    how: 'dense f32 on its WASM backend, compiled by jit, with relaxed SIMD switched on; it has no threads in Node',
    bundle: 'js',
    needs: js('node_modules/@jax-js/jax/package.json'),
    command: (threads) => node('js/jax-js.mjs', threads, relaxedSimd),
  },
  {
    name: 'onnxruntime',
    title: 'ONNX Runtime',
    how: 'onnxruntime-node, native code: the operator MatMulBnb4 (NF4, f32), which decodes the weight and multiplies densely',
    bundle: 'js',
    needs: js('node_modules/onnxruntime-node/package.json'),
    command: (threads) => node('js/onnxruntime.mjs', threads),
  },
  {
    name: 'python',
    title: 'PyTorch, bitsandbytes, PEFT',
    how: 'native code; threads by OMP_NUM_THREADS and torch.set_num_threads',
    bundle: 'python',
    command: (threads) => ({
      command: pythonCommand(),
      args: [join(python, 'driver.py')],
      cwd: python,
      env: {
        OMP_NUM_THREADS: String(threads),
        MKL_NUM_THREADS: String(threads),
        TOKENIZERS_PARALLELISM: 'false',
        HF_HUB_OFFLINE: '1',
        // Some machines force old kernels upon OpenBLAS with these.
        OPENBLAS_CORETYPE: undefined,
        OPENBLAS_L2_SIZE: undefined,
      },
    }),
  },
  {
    name: 'qlora-rs',
    title: 'qlora-rs',
    how: "native code on candle's CPU backend, release build for this processor; threads by RAYON_NUM_THREADS",
    bundle: 'rust',
    needs: binary,
    command: (threads) => ({
      command: binary,
      args: [],
      cwd: rust,
      env: { RAYON_NUM_THREADS: String(threads) },
    }),
  },
];

/** How each bundle is installed. */
export const installations: Readonly<Record<Bundle, Installation>> = {
  js: {
    title: 'npm packages, some 360 MB in apps/bench/peers/js/node_modules',
    // onnxruntime-node's install script only fetches CUDA; what the CPU needs is in the package.
    cwd: js(),
    commands: [['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']],
  },
  python: {
    title: 'Python packages, some 6 GB in apps/bench/peers/python/.venv (less with a CPU build of torch)',
    cwd: python,
    commands: [
      ['python3', '-m', 'venv', venv],
      [inVenv('python'), '-m', 'pip', 'install', '-r', 'requirements.txt'],
    ],
  },
  rust: {
    title: 'the crate, built in apps/bench/peers/qlora-rs/target in some minutes',
    // In its folder, where .cargo/config.toml tells the compiler to use what the processor has.
    cwd: rust,
    commands: [['cargo', 'build', '--release', '--locked']],
  },
};

/** The command that installs a peer, as one would type it. */
export const installHint = (bundle: Bundle) => `npm run bench -- peers --install ${bundle}`;

/** A peer by its name. */
export function peerNamed(name: PeerName): Peer {
  const peer = peers.find((candidate) => candidate.name === name);
  if (!peer) throw new Error(`no peer is named ${name}`);
  return peer;
}
