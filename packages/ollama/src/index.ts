// Ollama's Modelfile for GGUF files. Nothing here touches a file system.
export { ollamaFacts } from './from-metadata';
export { type OllamaModelfile, type OllamaModelfileOptions, ollamaModelfile } from './modelfile';
