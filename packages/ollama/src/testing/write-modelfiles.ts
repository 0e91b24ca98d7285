// Modelfiles for tooling/conformance/ollama: options of ollamaModelfile as a JSON array from standard input, what comes of them
// to standard output.
import { text } from 'node:stream/consumers';
import { type OllamaModelfileOptions, ollamaModelfile } from '../modelfile';

const cases = JSON.parse(await text(process.stdin)) as OllamaModelfileOptions[];
process.stdout.write(JSON.stringify(cases.map((options) => ollamaModelfile(options))));
