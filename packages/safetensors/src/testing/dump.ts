// Everything that the reference implementation is to judge, and our own verdicts, as files in a folder:
//
//   node --conditions=@qlora/source --import tsx packages/safetensors/src/testing/dump.ts FOLDER COUNT SEED
//
// in the root of the repository. tooling/conformance/safetensors/compare.py calls it. `verdicts.json` says
// what is where: bytes of all files come one after the other in `files.bin`.

import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf } from '@qlora/tensor';
import { fileType } from '../dtypes';
import { SAFETENSORS_RULES } from '../rules';
import { brokenFiles } from './broken-files';
import { fuzzedFile } from './fuzz';
import { oddFiles } from './odd-files';
import { ourFiles } from './our-files';
import { probeFile } from './probe';
import { realFiles, realShards } from './real-files';

const [folder = '.', count = '0', seed = '0'] = process.argv.slice(2);

const out = createWriteStream(join(folder, 'files.bin'));
const cases: Record<string, unknown>[] = [];

async function add(kind: string, name: string, bytes: Uint8Array, more: object = {}): Promise<void> {
  const { verdict } = await probeFile(bytes);
  cases.push({ kind, name, size: bytes.length, verdict, ...more });
  if (!out.write(bytes)) await once(out, 'drain');
}

for (const { name, rule, bytes } of brokenFiles) await add('broken', name, bytes, { rule });
for (const { name, bytes, tensors } of oddFiles) await add('odd', name, bytes, { names: tensors });
for (const [name, bytes] of [...realFiles, ...realShards]) await add('real', name, bytes);
for (const { name, bytes, metadata, tensors } of await ourFiles()) {
  const content = [...tensors].map(([key, { dtype, shape, data }]) => ({
    name: key,
    dtype: fileType(dtype).name,
    shape,
    data: Buffer.from(bytesOf(data)).toString('hex'),
  }));
  await add('ours', name, bytes, { metadata: [...metadata], tensors: content });
}
for (let number = 0; number < Number(count); number++)
  await add('fuzzed', `case ${number} of seed ${seed}`, fuzzedFile(Number(seed), number));

out.end();
await once(out, 'finish');
writeFileSync(join(folder, 'verdicts.json'), JSON.stringify({ rules: SAFETENSORS_RULES, cases }));
