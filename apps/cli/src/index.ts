// The verbs of the `qlora` command as functions, for programs that want what it does.
export type { Analysis, KindRow, Row, TensorRow } from './analysis';
export { describeTrend, type LossTrend, lossTrend } from './loss-trend';
export { createProgram } from './program';
export { type Report, type ReportSection, renderReport } from './report';
export { bytes, createReporter, duration, type Progress, type Reporter, silentReporter } from './reporter';
export { type AnalyzeOptions, analyze } from './verbs/analyze';
export { type EvaluateOptions, evaluate } from './verbs/evaluate';
export { type ExportGgufOptions, exportGguf } from './verbs/export-gguf';
export { type ExportLoraGgufOptions, exportLoraGguf } from './verbs/export-lora-gguf';
export { type ExportQnatOptions, exportQnat } from './verbs/export-qnat';
export { type GenerateOptions, generate } from './verbs/generate';
export { type InspectedTensor, type Inspection, inspect } from './verbs/inspect';
export { type MergeVerbOptions, merge } from './verbs/merge';
export { type QuantizeOptions, type QuantizeResult, quantize } from './verbs/quantize';
export { type TrainOptions, type TrainResult, train } from './verbs/train';
