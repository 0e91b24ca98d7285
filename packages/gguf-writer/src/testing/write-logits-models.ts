// Writes the models of logits-models.ts as folders: for tooling/conformance/huggingface/logits.py. Argument: a folder.
import { join } from 'node:path';
import { logitsModels } from './logits-models';
import { writeModelFolder } from './model-folder';

const [out = 'logits-models'] = process.argv.slice(2);
for (const model of logitsModels) writeModelFolder(join(out, model.name), model);
console.log(JSON.stringify(logitsModels.map(({ name }) => name)));
